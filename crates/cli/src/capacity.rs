//! What a worker of this machine advertises.

use std::{fs, path::Path};

use clap::Args;
use tale_pipeline::{bytes, cpu_millis, is_label};
use tale_queue::Resources;

use crate::engine::usual_slots;

/// What a worker says that its tasks may use together.
#[derive(Debug, Clone, Args)]
pub struct Capacity {
    /// Processors that its tasks may use together, such as 4 or 500m; all of the machine's unless given.
    #[arg(long, value_name = "N", value_parser = parse_cpu)]
    cpu: Option<u32>,
    /// Memory that its tasks may use together, such as 16GiB; all that the machine, or this container, has unless given.
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    memory: Option<u64>,
    /// GPUs that its tasks may use together.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1024))]
    gpu: u32,
    /// A label that tasks may ask for, such as zone-a or a100; repeat for more.
    #[arg(long = "label", value_name = "LABEL", value_parser = parse_label)]
    labels: Vec<String>,
}

impl Capacity {
    /// What the worker advertises: what was said, and else what the machine has.
    pub fn resources(&self) -> Resources {
        let machine = of_machine();
        Resources {
            cpu_millis: self.cpu.unwrap_or(machine.cpu_millis),
            memory_bytes: self.memory.unwrap_or(machine.memory_bytes),
            gpus: self.gpu,
            labels: self.labels.clone(),
        }
        .in_order()
    }
}

/// The processors and the memory that this process may use; no GPU, because a worker must be told of those.
pub fn of_machine() -> Resources {
    Resources {
        cpu_millis: usual_slots().saturating_mul(1_000),
        memory_bytes: memory_bytes(Path::new("/")),
        gpus: 0,
        labels: vec![],
    }
}

/// The memory of the machine below this root directory, or what its control group leaves of it.
fn memory_bytes(root: &Path) -> u64 {
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    let machine = read("proc/meminfo").as_deref().and_then(total_of_meminfo);
    let groups = read("proc/self/cgroup").unwrap_or_default();
    // version 2 has one group and a limit on each level above it, version 1 a tree of its own for memory
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let mut files = vec!["sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned()];
    for level in Path::new(own).ancestors() {
        files.push(format!("sys/fs/cgroup/{}/memory.max", level.display()));
    }
    let limits = files.iter().filter_map(|file| read(file)?.trim().parse::<u64>().ok());
    machine.into_iter().chain(limits).min().unwrap_or(0)
}

fn total_of_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn parse_cpu(text: &str) -> Result<u32, String> {
    cpu_millis(text).ok_or_else(|| "expected processors, such as 4 or 0.5, or thousandths: 500m".to_owned())
}

fn parse_memory(text: &str) -> Result<u64, String> {
    bytes(text).ok_or_else(|| "expected a whole number and its unit, such as 512MiB or 16GiB".to_owned())
}

fn parse_label(text: &str) -> Result<String, String> {
    match is_label(text) {
        true => Ok(text.to_owned()),
        false => {
            Err("expected up to 63 of a-z, 0-9, '.', '-' and '_', the first a letter or digit".to_owned())
        }
    }
}

/// The name of a pool, which no lane's is.
pub fn pool_name(text: &str) -> Result<String, String> {
    match text.parse::<tale_primitives::Name>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("expected a lower-case letter, then up to 62 of a-z, 0-9, '-' and '_'".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(files: &[(&str, &str)]) -> u64 {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        memory_bytes(root.path())
    }

    #[test]
    fn the_memory_is_the_machines_or_what_the_control_group_leaves_of_it() {
        let machine = ("proc/meminfo", "MemFree: 1 kB\nMemTotal:       2048 kB\n");
        assert_eq!(memory(&[]), 0);
        assert_eq!(memory(&[machine]), 2 << 20);
        let group = ("proc/self/cgroup", "0::/a/b\n");
        assert_eq!(memory(&[machine, group, ("sys/fs/cgroup/a/b/memory.max", "max\n")]), 2 << 20);
        assert_eq!(memory(&[machine, group, ("sys/fs/cgroup/a/memory.max", "1048576\n")]), 1 << 20);
        assert_eq!(memory(&[machine, ("sys/fs/cgroup/memory.max", "4096\n")]), 4096);
        let old = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(memory(&[machine, old]), 2 << 20);
    }
}
