"""The parts of the harness that need no server: figures, plan, report and chart.

    python3 -B -m unittest discover benches/versus/tests
"""

import random
import sys
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import chart  # noqa: E402
import command  # noqa: E402
import events  # noqa: E402
import peers  # noqa: E402
import plan  # noqa: E402
import report  # noqa: E402
import rounds  # noqa: E402
import scratch  # noqa: E402
import wrk  # noqa: E402
from figures import Spread, percentile, spread  # noqa: E402
from rounds import Round  # noqa: E402

HERE = Path(command.__file__).parent


def a_round(cpu_us: float, requests: int = 1000) -> Round:
    """A round with the figures that matter to a test."""
    errors = {"connect": 0, "read": 1, "write": 0, "status": 0, "timeout": 0}
    return Round(wrk.Seen(requests, 1.0, 1.0, 2.0, 3.0, errors), cpu_us, 100.0)


def a_row(ours: list[Round], theirs: list[Round], sizes: tuple[int, int] = (10, 10)) -> dict[str, object]:
    """A measured row, as the report gets it."""
    servers = [rounds.summary("appserver", ours, ours), rounds.summary("nginx", theirs, ours)]
    for figures, size in zip(servers, sizes):
        figures.update(body_bytes=size, writes_log=True)
    return {"key": "hello", "title": "hello & <more>", "target": 0.8, "rival": "nginx", "servers": servers}


class Figures(unittest.TestCase):
    def test_a_spread_is_least_middle_and_most(self) -> None:
        self.assertEqual(spread([3.0, 1.0, 2.0]), Spread(1.0, 2.0, 3.0))

    def test_a_percentile_of_nothing_is_nothing(self) -> None:
        self.assertIsNone(percentile([], 0.99))
        self.assertEqual(percentile(list(range(100)), 0.99), 99)
        self.assertEqual(percentile([5.0], 0.5), 5.0)

    def test_ratios_are_made_round_by_round(self) -> None:
        # The medians alone would say 2 / 4; the second round was slow for both.
        ours, theirs = [a_round(2), a_round(8), a_round(1)], [a_round(4), a_round(8), a_round(4)]
        self.assertEqual(rounds.ratio(ours, theirs, lambda one: one.cpu_us), Spread(0.25, 0.5, 1.0))
        self.assertEqual(rounds.ratio([a_round(1)], [a_round(0)], lambda one: one.cpu_us).median, float("inf"))

    def test_errors_are_summed_over_the_rounds(self) -> None:
        self.assertEqual(rounds.summary("one", [a_round(1), a_round(1)], None)["errors"]["read"], 2)

    def test_the_longest_gap_counts_the_edges(self) -> None:
        answers = [[1.0, 0.1], [1.5, 0.1], [9.0, 0.1]]
        self.assertAlmostEqual(events.longest_gap(answers, 0.9, 2.5), 1000.0)
        self.assertAlmostEqual(events.longest_gap([], 0.0, 2.0), 2000.0)


class Plan(unittest.TestCase):
    def test_every_key_is_there_once_and_the_quick_ones_exist(self) -> None:
        keys = plan.keys(8)
        self.assertEqual(len(keys), len(set(keys)))
        self.assertLessEqual(set(plan.QUICK), set(keys))
        self.assertEqual(set(events.EVENTS) | {"start", "idle"}, set(plan.SCENARIOS))

    def test_workers_grow_in_powers_of_two_up_to_all_cores(self) -> None:
        self.assertEqual(plan.steps(1), [1])
        self.assertEqual(plan.steps(2), [1, 2])
        self.assertEqual(plan.steps(6), [1, 2, 4, 6])

    def test_every_peer_of_a_row_has_its_programs_and_every_file_is_there(self) -> None:
        for row in plan.rows(4):
            self.assertLessEqual(set(row.peers), set(peers.PROGRAMS), row.key)
            self.assertIn(row.rival, row.peers, row.key)
            if row.more:
                self.assertTrue((HERE / f"appserver-{row.more}.toml").exists(), row.key)

    def test_a_post_is_told_to_the_script_behind_the_address(self) -> None:
        words = wrk.command(80, "/post", 64, 1, {}, 64)
        self.assertEqual(words[-4:], ["http://127.0.0.1:80/post", "--", "POST", "64"])
        self.assertEqual(wrk.command(80, "/", 1, 1, {})[-1], "http://127.0.0.1:80/")

    def test_cookies_are_told_to_the_script_behind_the_address(self) -> None:
        words = wrk.command(80, "/", 1, 1, {}, cookies=Path("/a/file"))
        self.assertEqual(words[-3:], ["--", "COOKIES", "/a/file"])

    def test_a_quick_look_is_beside_the_rival_alone(self) -> None:
        rows = {row.key: row for row in plan.ROWS}
        self.assertEqual(peers.named(rows["hello"], True), [plan.NGINX])
        self.assertEqual(peers.named(rows["session-redis"], True), [plan.EXPRESS_SESSION])
        self.assertGreater(len(peers.named(rows["hello"], False)), 1)

    def test_no_configuration_has_a_gap_left(self) -> None:
        for path in [*HERE.glob("*.conf"), *HERE.glob("*.toml"), *HERE.glob("*.cfg"), *HERE.glob("*.vcl")]:
            names = {word.strip("@") for word in path.read_text().replace("\n", " ").split("@")[1::2]}
            self.assertTrue(all(name.isupper() for name in names), f"{path.name}: {names}")

    def test_the_json_is_always_the_same(self) -> None:
        one, other = (scratch.records(random.Random(4), 20 << 10) for _ in range(2))
        self.assertEqual(one, other)
        self.assertLess(abs(len(one) - (20 << 10)), 512)


class Report(unittest.TestCase):
    def test_a_target_is_met_by_the_median_and_not_with_a_larger_answer(self) -> None:
        met = a_row([a_round(7)], [a_round(10)])
        self.assertEqual(report.target(met, met["servers"][1]), "≤ 0.80: met")
        missed = a_row([a_round(9)], [a_round(10)])
        self.assertEqual(report.target(missed, missed["servers"][1]), "≤ 0.80: missed")
        larger = a_row([a_round(7)], [a_round(10)], (11, 10))
        self.assertEqual(report.target(larger, larger["servers"][1]), "≤ 0.80: missed, for its answer is larger")

    def test_a_target_is_about_the_rival(self) -> None:
        row = a_row([a_round(7)], [a_round(10)], (11, 10)) | {"rival": plan.OUR_HELLO}
        self.assertEqual(report.target(row, row["servers"][1]), "")
        row["servers"][1]["server"] = plan.OUR_HELLO
        self.assertEqual(report.target(row, row["servers"][1]), "≤ 0.80: met")  # of another answer
        self.assertEqual(report.aim(0.8, plan.OUR_HELLO), "≤ 0.8 × appserver, hello")

    def test_what_is_not_there_is_listed(self) -> None:
        row = {"key": "gzip", "title": "gzip", "target": 0.8, "rival": "nginx", "servers": [], "not_yet": "unknown table"}
        said = report.missing([row])
        self.assertIn("not yet: unknown table", said)
        self.assertIn("≤ 0.8 × nginx", said)

    def test_tables_are_aligned(self) -> None:
        lines = report.table(["a", "b"], [["long cell", "x"]]).splitlines()
        self.assertEqual(len({len(line) for line in lines}), 1)

    def test_the_chart_is_well_formed_and_has_a_bar_for_each_server(self) -> None:
        root = xml.fromstring(chart.svg([a_row([a_round(7)], [a_round(10)])]))
        bars = root.findall("{http://www.w3.org/2000/svg}rect")
        self.assertEqual(len(bars), 2)
        self.assertGreater(float(bars[1].get("width", 0)), float(bars[0].get("width", 0)))

    def test_whoever_is_far_slower_gets_a_broken_bar(self) -> None:
        self.assertEqual(chart.longest(a_row([a_round(50)], [a_round(10)])["servers"]), 40.0)
        root = xml.fromstring(chart.svg([a_row([a_round(50)], [a_round(10)])]))
        self.assertEqual(len(root.findall("{http://www.w3.org/2000/svg}path")), 1)
        self.assertEqual(chart.longest(a_row([a_round(0)], [a_round(0)])["servers"]), 1.0)


if __name__ == "__main__":
    unittest.main()
