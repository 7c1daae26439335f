//! Which system calls a plugin may make: a list of what is refused, with the arguments that matter.
//!
//! Only what no tap or target needs is refused, so that a new call of a new C library meets ENOSYS and not a kill. What
//! each group is for is said beside it; the attacks are those of `tests/escape`.

use super::bpf::{assemble, Family, Instruction, Number, Rule};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

const EPERM: i32 = 1;
const ENOSYS: i32 = 38;
const ENOTSUP: i32 = 95;

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xC000_00B7;

/// Calls from this number on are newer than this list and do not exist for a plugin.
const UNKNOWN: Number = 463;

/// What decides about the filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    /// It has namespaces of its own.
    pub namespaces: bool,
    /// It may make TCP sockets.
    pub tcp: bool,
    /// It may make UDP sockets.
    pub udp: bool,
    /// It may make local sockets.
    pub unix: bool,
}

/// Installs the filter for this process and all that it starts. no_new_privs must be set.
pub(crate) fn install(needs: Needs) -> io::Result<()> {
    load(&rules(needs), 0).map(drop)
}

/// Installs a second filter that tells a listener of these calls; where both have a word, the first one's refusal holds.
pub(crate) fn notify(calls: &[libc::c_long]) -> io::Result<OwnedFd> {
    const NEW_LISTENER: libc::c_uint = 1 << 3;
    // Linux 5.19: a signal does not interrupt a call that waits for its answer.
    const WAIT_KILLABLE: libc::c_uint = 1 << 5;
    let rules: Vec<(Number, Rule)> = calls.iter().map(|call| (*call as Number, Rule::Notify)).collect();
    let fd = load(&rules, NEW_LISTENER | WAIT_KILLABLE).or_else(|_| load(&rules, NEW_LISTENER))?;
    // SAFETY: the kernel made this descriptor for this call; nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn load(rules: &[(Number, Rule)], flags: libc::c_uint) -> io::Result<libc::c_int> {
    #[repr(C)]
    struct Program {
        length: u16,
        filter: *const Instruction,
    }
    let code = assemble(ARCH, UNKNOWN, rules);
    let program = Program {
        length: code.len() as u16,
        filter: code.as_ptr(),
    };
    const SET_MODE_FILTER: libc::c_uint = 1;
    // SAFETY: `program` and the code that it points to live until the call returns; the kernel copies them.
    match unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags, &program as *const Program) } {
        -1 => Err(io::Error::last_os_error()),
        listener => Ok(listener as libc::c_int),
    }
}

fn rules(needs: Needs) -> Vec<(Number, Rule)> {
    let mut found: Vec<(Number, Rule)> = Vec::new();
    let mut refuse = |calls: &[libc::c_long], code: i32| {
        found.extend(calls.iter().map(|number| (*number as Number, Rule::Refuse(code))));
    };
    refuse(OTHERS, EPERM);
    refuse(KEYS, EPERM);
    refuse(MOUNTS, EPERM);
    refuse(KERNEL, EPERM);
    refuse(LEGACY, EPERM);
    refuse(SEGMENTS, EPERM);
    // Its flags are behind a pointer, where no filter sees them; C libraries then use clone.
    refuse(&[libc::SYS_clone3], ENOSYS);
    if !needs.namespaces {
        refuse(SYSTEM_V, EPERM);
        // Landlock does not know these: they pretend to have worked, and the mode stays as the file was created.
        refuse(MODES, 0);
        refuse(ATTRIBUTES, ENOTSUP);
        refuse(WATCHES, ENOSYS);
    }
    found.extend(conditions(needs));
    found
}

fn conditions(needs: Needs) -> Vec<(Number, Rule)> {
    let mut families = Vec::new();
    let mut family = |domain: i32, types: &[i32], protocols: &[i32]| {
        families.push(Family {
            domain: domain as u32,
            types: types.iter().map(|t| *t as u32).collect(),
            protocols: protocols.iter().map(|p| *p as u32).collect(),
        });
    };
    // IPPROTO_MPTCP and SCTP pass Landlock's TCP rules: only TCP itself, and UDP where the network is open.
    let (types, protocols): (&[i32], &[i32]) = match needs.udp {
        true => (
            &[libc::SOCK_STREAM, libc::SOCK_DGRAM],
            &[0, libc::IPPROTO_TCP, libc::IPPROTO_UDP],
        ),
        false => (&[libc::SOCK_STREAM], &[0, libc::IPPROTO_TCP]),
    };
    if needs.tcp {
        family(libc::AF_INET, types, protocols);
        family(libc::AF_INET6, types, protocols);
    }
    if needs.unix {
        family(
            libc::AF_UNIX,
            &[libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET],
            &[0],
        );
    }
    // A datagram socket of a pair could still send to any socket file by its path; a stream knows its other end only.
    let mut pair_types = vec![libc::SOCK_STREAM as u32, libc::SOCK_SEQPACKET as u32];
    if needs.unix {
        pair_types.push(libc::SOCK_DGRAM as u32);
    }
    let pair = Family {
        domain: libc::AF_UNIX as u32,
        types: pair_types,
        protocols: vec![0],
    };
    let fast_open = libc::MSG_FASTOPEN as u32;
    let new_namespaces = (libc::CLONE_NEWNS
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP) as u32
        | 0x80; // CLONE_NEWTIME
    const TIOCSTI: u32 = 0x5412;
    const TIOCLINUX: u32 = 0x541C;
    const TIOCSETD: u32 = 0x5423;
    let mut found = vec![
        (libc::SYS_socket, Rule::Sockets(families)),
        (libc::SYS_socketpair, Rule::Sockets(vec![pair])),
        (libc::SYS_sendto, Rule::RefuseBits(3, fast_open, ENOTSUP)),
        (libc::SYS_sendmsg, Rule::RefuseBits(2, fast_open, ENOTSUP)),
        (libc::SYS_sendmmsg, Rule::RefuseBits(3, fast_open, ENOTSUP)),
        (libc::SYS_clone, Rule::RefuseBits(0, new_namespaces, EPERM)),
        // The kernel reads the low half of the request only, and so does this filter.
        (
            libc::SYS_ioctl,
            Rule::RefuseValues(1, vec![TIOCSTI, TIOCLINUX, TIOCSETD], EPERM),
        ),
        (libc::SYS_personality, Rule::AllowValues(0, vec![0, u32::MAX], EPERM)),
        (
            libc::SYS_prctl,
            Rule::RefuseValues(0, vec![libc::PR_SET_PDEATHSIG as u32], EPERM),
        ),
    ];
    if !needs.namespaces {
        // Without a PID namespace the processes of others have numbers here: only oneself, which is 0.
        let on_self = |index| Rule::AllowValues(index, vec![0], EPERM);
        found.extend([
            (libc::SYS_prlimit64, on_self(0)),
            (libc::SYS_sched_setaffinity, on_self(0)),
            (libc::SYS_sched_setparam, on_self(0)),
            (libc::SYS_sched_setscheduler, on_self(0)),
            (libc::SYS_sched_setattr, on_self(0)),
            (libc::SYS_setpriority, on_self(1)),
            (libc::SYS_ioprio_set, on_self(1)),
        ]);
    }
    found
        .into_iter()
        .map(|(number, rule)| (number as Number, rule))
        .collect()
}

/// Looking into, or reaching into, other processes.
const OTHERS: &[libc::c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_process_madvise,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
];

/// Key rings are shared across namespaces.
const KEYS: &[libc::c_long] = &[libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key];

/// Changing what is mounted where, and finding files without their names.
const MOUNTS: &[libc::c_long] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_fanotify_init,
];

/// Parts of the kernel that are for administrators, or that have been ways into it.
const KERNEL: &[libc::c_long] = &[
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_memfd_secret,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_vhangup,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    460, // lsm_set_self_attr
];

#[cfg(target_arch = "x86_64")]
const LEGACY: &[libc::c_long] = &[
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
];
#[cfg(target_arch = "aarch64")]
const LEGACY: &[libc::c_long] = &[];

/// Memory that belongs to no process and is therefore in no account.
const SEGMENTS: &[libc::c_long] = &[libc::SYS_shmget, libc::SYS_shmat, libc::SYS_shmctl, libc::SYS_shmdt];

/// The rest of System V and POSIX IPC, where it is the whole machine's.
const SYSTEM_V: &[libc::c_long] = &[
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semctl,
    libc::SYS_semtimedop,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_mq_timedsend,
    libc::SYS_mq_timedreceive,
    libc::SYS_mq_notify,
    libc::SYS_mq_getsetattr,
];

#[cfg(target_arch = "x86_64")]
const MODES: &[libc::c_long] = &[
    libc::SYS_chmod,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    452, // fchmodat2
    libc::SYS_chown,
    libc::SYS_fchown,
    libc::SYS_lchown,
    libc::SYS_fchownat,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_utimensat,
    libc::SYS_futimesat,
];
#[cfg(target_arch = "aarch64")]
const MODES: &[libc::c_long] = &[
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    452, // fchmodat2
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
];

const ATTRIBUTES: &[libc::c_long] = &[
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
];

/// Watching what others do with files.
#[cfg(target_arch = "x86_64")]
const WATCHES: &[libc::c_long] = &[
    libc::SYS_inotify_init,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
];
#[cfg(target_arch = "aarch64")]
const WATCHES: &[libc::c_long] = &[libc::SYS_inotify_init1, libc::SYS_inotify_add_watch];
