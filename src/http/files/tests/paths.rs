//! Which files there are, and that no way leads to another.

use super::*;

#[test]
fn hidden_files_are_not_there() {
    let site = Site::new();
    for target in [
        "/.env",
        "/.hidden/x.txt",
        "/%2eenv",
        "/.hidden",
        "/dir/../.env",
    ] {
        assert_eq!(site.status(target), 404, "{target}");
    }
    assert_eq!(
        site.get("/.well-known/acme-challenge/token", &[]).body,
        b"token"
    );
}

#[test]
fn no_way_leads_out_of_the_folder() {
    let site = Site::new();
    for target in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/dir/../../secret.txt",
        "/..%5csecret.txt",
        "/%2fetc/passwd",
        "//etc/passwd",
        "/digits.txt%00",
        "/%00",
        "/%ff",
        "/%c0%ae%c0%ae/secret.txt",
    ] {
        assert_eq!(site.status(target), 404, "{target}");
    }
    assert_eq!(site.status(&format!("/{}", "x".repeat(300))), 404);
    assert_eq!(site.status(&format!("/{}", "x/".repeat(20_000))), 404);
}

#[test]
fn links_may_stay_inside_but_not_leave() {
    let site = Site::new();
    symlink("digits.txt", site.path("inside")).unwrap();
    symlink("../digits.txt", site.path("dir/up")).unwrap();
    symlink("dir", site.path("folder")).unwrap();
    for (target, status) in [("/inside", 200), ("/dir/up", 200), ("/folder/", 200)] {
        assert_eq!(site.status(target), status, "{target}");
    }
    symlink("../secret.txt", site.path("outside")).unwrap();
    symlink("/etc/passwd", site.path("absolute")).unwrap();
    symlink("..", site.path("parent")).unwrap();
    symlink("circle", site.path("circle")).unwrap();
    symlink("nowhere", site.path("broken")).unwrap();
    for target in [
        "/outside",
        "/absolute",
        "/parent/secret.txt",
        "/circle",
        "/broken",
    ] {
        assert_eq!(site.status(target), 404, "{target}");
    }
}

#[test]
fn what_is_no_file_is_not_there_and_nobody_waits_for_it() {
    let site = Site::new();
    mkfifo(&site.path("pipe"), Mode::S_IRWXU).unwrap();
    let _listener = UnixListener::bind(site.path("socket")).unwrap();
    for method in [Method::GET, Method::HEAD] {
        for target in ["/pipe", "/socket"] {
            assert_eq!(
                site.ask(method.clone(), target, &[]).status,
                404,
                "{target}"
            );
        }
    }
}

#[test]
fn a_folder_that_is_none_cannot_be_opened() {
    let site = Site::new();
    for name in ["none", "digits.txt"] {
        let error = Files::open(&site.path(name), &StaticFiles::default(), &Gzip::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("cannot open the folder /") && error.ends_with(name),
            "{error}"
        );
    }
}

/// Runs a test with many made-up values, leaving no file behind.
fn for_many<S: Strategy>(strategy: &S, test: impl Fn(&Site, S::Value)) {
    let site = Site::new();
    symlink("..", site.path("out")).unwrap();
    let config = ProptestConfig {
        failure_persistence: None,
        cases: 10_000,
        ..ProptestConfig::default()
    };
    let tested = TestRunner::new(config).run(strategy, |value| {
        test(&site, value);
        Ok(())
    });
    tested.unwrap();
}

#[test]
fn no_mixture_of_attacks_escapes_or_fails() {
    let pieces = prop::sample::select(vec![
        "/",
        "/..",
        "/out",
        "/secret.txt",
        "/dir",
        "/%2e%2e",
        "%2f",
        "%00",
        "\\",
        "/.env",
        "%ff",
        "/digits.txt",
    ]);
    for_many(&prop::collection::vec(pieces, 1..5), |site, pieces| {
        let target = format!("/{}", pieces.concat());
        if target.parse::<Uri>().is_ok() {
            let got = site.get(&target, &[]);
            assert!(
                matches!(got.status, 200 | 301 | 404),
                "{} {target}",
                got.status
            );
            assert!(got.body != b"secret", "{target}");
        }
    });
}

#[test]
fn no_path_panics() {
    for_many(&"/[ -~]{0,60}", |site, path| {
        if path.parse::<Uri>().is_ok() {
            assert!(site.status(&path) < 500, "{path}");
        }
    });
}
