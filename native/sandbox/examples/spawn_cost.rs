//! What starting `/bin/true` costs in each profile, beside a bare fork and exec. Prints one JSON object: medians of
//! `ROUNDS` starts in milliseconds, taken in turn. `make bench` shows them; `cargo run --release --example spawn_cost`.

use dativo_sandbox::policy::{Confinement, Layout, Network, Profile};
use dativo_sandbox::spawn::{spawn, Spec};
use dativo_sandbox::{pipes, Zygote};
use rustix::process::{waitpid, WaitOptions};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const ROUNDS: usize = 50;
const PROGRAM: &str = "/bin/true";

fn main() {
    let zygote = Zygote::start().expect("a zygote");
    let hosts = Network::Hosts(vec!["localhost:5432".into()]);
    let cases = [
        ("limits", Profile::Limits, Layout::Auto, Network::None),
        ("standard_floor", Profile::Standard, Layout::Floor, Network::None),
        ("standard", Profile::Standard, Layout::Auto, Network::None),
        ("standard_network_any", Profile::Standard, Layout::Auto, Network::Any),
        ("strict", Profile::Strict, Layout::Auto, Network::None),
        ("strict_one_host", Profile::Strict, Layout::Auto, hosts),
    ];
    // In memory, as run directories mostly are.
    let place = Path::new("/dev/shm").join(format!("dativo-spawn-cost-{}", std::process::id()));
    let mut bare = Vec::new();
    let mut times = vec![Vec::new(); cases.len()];
    for round in 0..=ROUNDS {
        let begun = Instant::now();
        let mut command = Command::new(PROGRAM);
        command
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
            .spawn()
            .and_then(|mut child| child.wait())
            .expect("a bare start");
        bare.push(begun.elapsed().as_secs_f64() * 1e3);
        for (index, (_, profile, layout, network)) in cases.iter().enumerate() {
            let scratch = place.join(format!("{round}-{index}"));
            std::fs::create_dir_all(&scratch).expect("a scratch directory");
            let begun = Instant::now();
            start(&zygote, &scratch, *profile, *layout, network.clone());
            times[index].push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    let _ = std::fs::remove_dir_all(&place);
    let bare = median(&mut bare);
    let rows: Vec<String> = cases
        .iter()
        .zip(&mut times)
        .map(|((name, ..), times)| format!("\"{name}\":{:.3}", median(times) - bare))
        .collect();
    println!("{{\"bare_ms\":{bare:.3},\"over_bare_ms\":{{{}}}}}", rows.join(","));
}

fn start(zygote: &Zygote, scratch: &Path, profile: Profile, layout: Layout, network: Network) {
    let pipe = || pipes::pipe(0).expect("a pipe");
    let (stdin, stdout, stderr) = (pipe(), pipe(), pipe());
    let confinement = Confinement {
        profile,
        layout,
        read: Vec::new(),
        write: Vec::new(),
        hide: Vec::new(),
        network,
        unix: Vec::new(),
        shm: 64 << 20,
        scratch_size: 256 << 20,
        scratch: PathBuf::from(scratch),
        nice: 0,
        ionice: None,
        groups: Vec::new(),
        observe: false,
    };
    let spec = Spec {
        argv: &[PROGRAM.to_string()],
        env: &[],
        cwd: None,
        stdio: [stdin.0.as_fd(), stdout.1.as_fd(), stderr.1.as_fd()],
        keep: &[],
        limits: &[],
        files: &[],
        confinement,
    };
    let spawned = spawn(zygote, &spec).expect("a confined start");
    // As the bare start is waited for, and not by looking again and again.
    waitpid(Some(spawned.pid), WaitOptions::empty()).expect("its end");
}

fn median(times: &mut [f64]) -> f64 {
    // The first start of each kind warms it up.
    times[1..].sort_by(f64::total_cmp);
    times[1 + (times.len() - 1) / 2]
}
