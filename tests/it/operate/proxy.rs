//! nginx with the sample of `deploy/nginx`, in front of a real daemon.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use scm_connect::cli::client::Client as Control;

use super::{pass, text, tool};
use crate::harness::bench::Bench;
use crate::harness::daemon::Daemon;
use crate::harness::parcel::Parcel;

const NAME: &str = "scm.example.com";

/// A certificate for the sample's name.
fn certify(folder: &Path) {
    let openssl = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let name =
        ["-subj", "/CN=scm.example.com", "-addext", "subjectAltName=DNS:scm.example.com", "-days", "2"];
    let mut command = Command::new("openssl");
    command
        .current_dir(folder)
        .args(openssl)
        .args(name)
        .args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    pass(command.args(["-keyout", "key.pem", "-out", "cert.pem"]));
}

/// nginx in this folder, with the sample changed in nothing but what `change` does.
fn nginx(folder: &Path, change: impl Fn(String) -> String) -> Command {
    certify(folder);
    let at = |name: &str| folder.join(name).display().to_string();
    let sample = text("deploy/nginx/scm-connect.conf")
        .replace("/etc/nginx/tls/scm.example.com.pem", &at("cert.pem"))
        .replace("/etc/nginx/tls/scm.example.com.key", &at("key.pem"));
    std::fs::write(at("sample.conf"), change(sample)).unwrap();
    let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let places: String = places.iter().map(|place| format!("{place}_temp_path {};\n", at(place))).collect();
    let main = format!(
        "user root;\nworker_processes 1;\npid {};\nevents {{}}\nhttp {{\naccess_log off;\n{places}include {};\n}}\n",
        at("pid"),
        at("sample.conf")
    );
    std::fs::write(at("nginx.conf"), main).unwrap();
    let mut command = Command::new(tool("debian/usr/sbin/nginx"));
    command.args(["-e", "stderr", "-p", &at(""), "-c", &at("nginx.conf")]);
    command
}

/// nginx before a daemon; ends when it is dropped.
struct Proxy {
    child: Child,
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Proxy {
    async fn before(daemon: &Daemon) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (address, plain) = (free(), free());
        let mut command = nginx(folder.path(), |sample| {
            let sample = sample
                .replace("server 127.0.0.1:8080;", &format!("server {};", daemon.public))
                .replace("listen 443 ssl", &format!("listen {address} ssl"))
                .replace("listen 80;", &format!("listen {plain};"));
            let lines = sample.lines().filter(|line| !line.contains("listen [::]"));
            lines.map(|line| format!("{line}\n")).collect()
        });
        let child = command.args(["-g", "daemon off; master_process off;"]).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert!(Instant::now() < until, "nginx does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { child, folder, address }
    }

    fn client(&self) -> reqwest::Client {
        let pem = std::fs::read(self.folder.path().join("cert.pem")).unwrap();
        let authority = reqwest::Certificate::from_pem(&pem).unwrap();
        let builder = reqwest::Client::builder().no_proxy().tls_certs_only([authority]);
        builder.resolve(NAME, self.address).timeout(Duration::from_secs(20)).build().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn nginx_takes_its_sample() {
    let folder = tempfile::tempdir().unwrap();
    let printed = pass(nginx(folder.path(), |sample| sample).arg("-t"));
    assert!(printed.contains("test is successful") && !printed.contains("[warn]"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s12_through_the_proxy_deliveries_arrive_whole_and_a_forged_address_does_not_count() {
    let bench = Bench::new();
    let trusted =
        "\n[listen]\npublic = \"127.0.0.1:0\"\nops = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n";
    let config =
        bench.text("").replace("\n[listen]\npublic = \"127.0.0.1:0\"\nops = \"127.0.0.1:0\"\n", trusted);
    assert!(config.contains("trusted_proxies"));
    std::fs::write(bench.config(), config).unwrap();
    let daemon = bench.daemon().await;
    let proxy = Proxy::before(&daemon).await;
    let address = format!("https://{NAME}:{}/hooks/our-app", proxy.address.port());
    let client = proxy.client();

    // One that is larger than a proxy takes by itself, then one that is not proven and says that it comes from elsewhere.
    let large = Parcel::new(12, 1, 3 << 20);
    for (parcel, secret_is_right) in [(large, true), (Parcel::new(12, 2, 500), false)] {
        let signature =
            if secret_is_right { parcel.signature() } else { format!("sha256={}", "0".repeat(64)) };
        let request = client
            .post(&address)
            .header("content-type", "application/json")
            .header("x-github-event", "repository")
            .header("x-github-delivery", &parcel.id)
            .header("x-hub-signature-256", signature)
            .header("x-forwarded-for", "203.0.113.9")
            .header("forwarded", "for=203.0.113.9");
        let status = request.body(parcel.body.clone()).send().await.unwrap().status();
        assert_eq!(status, if secret_is_right { 202 } else { 401 }, "{}", daemon.output());
    }

    let control = Control::local(daemon.store()).await.map_err(|failure| failure.message).unwrap().unwrap();
    let refused = control.get(&["deliveries", "refused"], &[("source", "our-app".to_owned())]).await;
    let refused = refused.map_err(|failure| failure.message).unwrap();
    assert_eq!(refused["items"][0]["peer"], "127.0.0.1", "{refused}");
    daemon.stop().await;
}
