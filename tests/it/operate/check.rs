//! `check` before there is anything: it measures, asks the forges, and leaves no trace.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;

use scm_connect::domain::Timestamp;
use scm_connect::store::{Health as _, sled};

use crate::harness::program;

/// A forge of which only the clock is known.
fn forge_with_date(date: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(stream, "HTTP/1.1 404 Not Found\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n");
        }
    });
    format!("http://{address}")
}

/// What `check` finds with a config in which a forge is at each of these addresses.
fn findings(forges: &[String]) -> (Option<i32>, Vec<Value>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = "[limits]\nallow_http_forges = true\nallow_private_forges = [\"127.0.0.0/8\"]\n\
                      [[organizations]]\nslug = \"acme\"\nname = \"Acme\"\n"
        .to_owned();
    for (number, forge) in forges.iter().enumerate() {
        let secret = "0123456789abcdef0123456789abcdef";
        config.push_str(&format!(
            "[[connections]]\nkey = \"lab-{number}\"\norganization = \"acme\"\nkind = \"gitlab_self_managed\"\n\
             account = \"acme\"\nurl = \"{forge}\"\nwebhook_secrets = [{{ value = \"{secret}\" }}]\n"
        ));
    }
    let (code, findings) = checked(folder.path(), &config, &[]);
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    (code, findings, left)
}

/// What `check` finds with this config in this folder.
fn checked(folder: &Path, config: &str, more: &[&str]) -> (Option<i32>, Vec<Value>) {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("config.toml");
    std::fs::write(&file, config).unwrap();
    let output = program()
        .current_dir(folder)
        .args(["check", "--json"])
        .args(more)
        .arg("--config")
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    (output.status.code(), printed["findings"].as_array().unwrap().clone())
}

fn of<'a>(findings: &'a [Value], part: &str) -> Vec<&'a Value> {
    findings.iter().filter(|finding| finding["part"] == part).collect()
}

#[test]
fn r52_a_clock_that_differs_from_a_forges_and_a_forge_that_is_away_are_told_and_nothing_is_changed() {
    let away = {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", closed.local_addr().unwrap())
    };
    let (code, findings, left) = findings(&[forge_with_date("Sat, 31 Jan 2015 08:00:00 GMT"), away]);
    assert_eq!(code, Some(0), "a warning is no refusal: {findings:?}");
    assert_eq!(left, 0, "something was left behind");
    let clock = of(&findings, "clock");
    assert_eq!((clock.len(), &clock[0]["level"]), (1, &Value::from("warning")), "{findings:?}");
    assert!(
        clock[0]["message"].as_str().unwrap().contains("s ahead of the clock of 127.0.0.1:"),
        "{clock:?}"
    );
    assert!(clock[0]["next"].as_str().unwrap().contains("time service"), "{clock:?}");
    let forges = of(&findings, "forge");
    let warned: Vec<_> = forges.iter().filter(|finding| finding["level"] == "warning").collect();
    assert_eq!((forges.len(), warned.len()), (2, 1), "{findings:?}");
    assert!(warned[0]["message"].as_str().unwrap().contains("refuses the connection"), "{warned:?}");
    let disk = of(&findings, "disk");
    assert!(
        disk.iter().any(|it| it["message"].as_str().unwrap().contains("a synced write of 16 KiB")),
        "{disk:?}"
    );
}

#[test]
fn r52_many_connections_of_one_forge_are_asked_about_once() {
    let forge = forge_with_date("Sat, 31 Jan 2015 08:00:00 GMT");
    let (_, findings, _) = findings(&[forge.clone(), forge.clone(), forge]);
    assert_eq!(of(&findings, "forge").len(), 1, "{findings:?}");
}

#[test]
fn r52_the_forge_of_a_source_is_asked_too() {
    let forge = forge_with_date("Sat, 31 Jan 2015 08:00:00 GMT");
    let config = format!(
        "[limits]\nallow_http_forges = true\nallow_private_forges = [\"127.0.0.0/8\"]\n\
         [[organizations]]\nslug = \"acme\"\nname = \"Acme\"\n\
         [[sources]]\nkey = \"lab\"\nprovider = \"gitlab\"\norganizations = [\"acme\"]\nurl = \"{forge}\"\n\
         webhook_secrets = [{{ value = \"0123456789abcdef0123456789abcdef\" }}]\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let (code, findings) = checked(folder.path(), &config, &[]);
    assert_eq!((code, of(&findings, "forge").len()), (Some(0), 1), "{findings:?}");
    assert_eq!(of(&findings, "clock")[0]["level"], "warning", "{findings:?}");
}

#[test]
fn r52_check_looks_at_the_store_and_refuses_what_serve_would_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, key) = (folder.path().join("store"), folder.path().join("master.key"));
    let config = "[store]\nurl = \"sled:store\"\n[keys]\nfile = \"master.key\"\n";
    let look = || {
        let (code, findings) = checked(folder.path(), config, &["--offline"]);
        let store = of(&findings, "store");
        assert_eq!(store.len(), 1, "{findings:?}");
        (code, store[0]["level"].clone(), store[0]["message"].as_str().unwrap().to_owned())
    };
    assert!(look().2.contains("holds no store yet"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let store = sled::open(&dir, &key, Timestamp::from_ms(0)).unwrap();
    let (code, level, said) = look();
    assert_eq!((code, level), (Some(0), "info".into()), "{said}");
    assert!(said.contains("is open in a daemon"), "{said}");
    runtime.block_on(store.close()).unwrap();
    drop(store);
    let (code, level, said) = look();
    assert_eq!((code, level), (Some(0), "info".into()), "{said}");
    assert!(said.contains("can be read"), "{said}");
    // A log that is gone is one that was lost.
    std::fs::remove_dir_all(dir.join("journal/records")).unwrap();
    let (code, level, said) = look();
    assert_eq!((code, level), (Some(3), "error".into()), "{said}");
    assert!(said.contains("records"), "{said}");
}
