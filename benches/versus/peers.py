"""Who takes part in a row, each set up for the same work."""

from collections.abc import Callable
from contextlib import ExitStack

import plan
from express import Express, ExpressSession
from haproxy import Haproxy
from hyper import Hyper
from nginx import Nginx
from ours import OurHello, Ours
from plan import Row
from redis import Redis
from server import Server
from setting import Setting
from varnish import Varnish

PROGRAMS = {
    plan.NGINX: ["nginx"],
    plan.UNSENT: ["nginx"],
    plan.HAPROXY: ["haproxy"],
    plan.VARNISH: ["varnishd"],
    plan.EXPRESS: ["node", "npm"],
    plan.EXPRESS_SESSION: ["node", "npm", "redis-server"],
    plan.HYPER: [],
    plan.OUR_HELLO: [],
}
"""What has to be installed for each."""


def ours(row: Row, setting: Setting, upstream: int) -> Server:
    """appserver, or an example with it inside."""
    is_example = row.site in (plan.SERVICE, plan.APP)
    program = setting.programs.example(row.site) if is_example else setting.programs.appserver
    server = Ours(setting.scratch, row.workers or setting.workers, program, row.more, upstream)
    server.probe = "/hello" if is_example else Ours.probe
    return server


def peer(name: str, row: Row, setting: Setting, upstream: int) -> Server:
    """A peer by its name."""
    scratch, workers = setting.scratch, row.workers or setting.workers
    site = row.site if row.site in (plan.PROXY, plan.CACHE) else "files"
    makers: dict[str, Callable[[], Server]] = {
        plan.NGINX: lambda: Nginx(scratch, workers, site=site, upstream=upstream),
        plan.UNSENT: lambda: Nginx(scratch, workers, sendfile=False, site=site, upstream=upstream),
        plan.HAPROXY: lambda: Haproxy(scratch, workers, upstream),
        plan.VARNISH: lambda: Varnish(scratch, workers, upstream, gzip=row.encoding == "gzip"),
        plan.EXPRESS: lambda: Express(scratch, workers),
        plan.EXPRESS_SESSION: lambda: ExpressSession(scratch, workers, upstream),
        plan.OUR_HELLO: lambda: our_hello(row, setting),
        plan.HYPER: lambda: Hyper(scratch, workers, setting.programs.example("bare-hyper")),
    }
    return makers[name]()


def our_hello(row: Row, setting: Setting) -> Server:
    """The row's own example, as it is without the row's configuration."""
    server = OurHello(setting.scratch, row.workers or setting.workers, setting.programs.example(row.site))
    server.probe = "/hello"
    return server


def upstream(row: Row, setting: Setting, running: ExitStack) -> int:
    """The port of what stands behind the servers, if the row needs that; 0 when it does not."""
    if row.has_redis:
        return running.enter_context(Redis(setting.scratch, 1)).port
    if row.site not in (plan.PROXY, plan.CACHE):
        return 0
    behind = Nginx(setting.scratch, setting.workers, gzip=False)
    return running.enter_context(behind).port


def wanted(row: Row, setting: Setting) -> list[str]:
    """The peers that are asked for."""
    return named(row, setting.is_quick)


def named(row: Row, is_quick: bool) -> list[str]:
    """The peers of a row: for a quick look, the one that its target is about."""
    return [row.rival] if is_quick else list(row.peers)
