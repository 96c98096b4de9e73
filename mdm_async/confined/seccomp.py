"""Filters of system calls (seccomp, BPF): a small assembler and two lists.

`deny_reaching_out` is for programs that are not ours: they may do what a program does with itself. `allow_work_only`
is for our own workers: they may compute, and read and write what they have open. Whatever else is called fails with
EPERM. x86-64 and aarch64; elsewhere nothing is done.
"""

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass
from typing import Final

from mdm_async.confined import kernel
from mdm_async.confined.syscalls import NUMBERS

_ARCHITECTURES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Machine: place in NUMBERS, AUDIT_ARCH."""
_X32: Final = 0x40000000
"""Numbers from here on are of another way to call an x86-64 kernel."""
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""BPF: load a word at an offset; compare; return."""
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
"""struct seccomp_data."""
_KILL: Final = 0x80000000
_ALLOW: Final = 0x7FFF0000
_ERROR: Final = 0x00050000
_FILTER: Final = 2
_DENIED: Final = _ERROR | errno.EPERM
_UNKNOWN: Final = _ERROR | errno.ENOSYS
_NAMESPACES: Final = 0x7E020080
"""The flags of clone(2) that make namespaces."""
_THREAD: Final = 0x00010000

_REACHING_OUT: Final = (
    # The network, and every other socket.
    *("socket", "connect", "bind", "listen", "accept", "accept4"),
    # Other processes.
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp"),
    *("pidfd_getfd", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "move_pages"),
    *("migrate_pages", "setpriority", "ioprio_set", "sched_setaffinity", "sched_setattr"),
    *("sched_setparam", "sched_setscheduler", "perf_event_open", "userfaultfd"),
    # Memory and messages that processes share by name.
    *("shmget", "semget", "msgget", "mq_open", "add_key", "request_key", "keyctl"),
    # The kernel, and what hardly any program needs and has often been broken.
    *("bpf", "io_uring_setup", "io_uring_enter", "io_uring_register", "personality", "lookup_dcookie"),
    *("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "iopl", "ioperm"),
    *("reboot", "swapon", "swapoff", "acct", "quotactl", "syslog", "vhangup", "sethostname"),
    *("setdomainname", "settimeofday", "clock_settime", "clock_adjtime"),
    # Files by other ways than their paths; other views of the file system.
    *("open_by_handle_at", "name_to_handle_at", "mount", "umount2", "pivot_root", "chroot", "fsopen"),
    *("fsconfig", "fsmount", "fspick", "move_mount", "open_tree", "mount_setattr", "unshare", "setns"),
)
_WORK: Final = (
    *("read", "readv", "write", "writev", "pread64", "close", "lseek", "fcntl", "ioctl", "poll", "ppoll"),
    *("mmap", "munmap", "mremap", "mprotect", "madvise", "brk", "membarrier"),
    *("futex", "rseq", "set_robust_list", "sched_yield", "sched_getaffinity", "restart_syscall"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sigaltstack", "pause"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "getrandom"),
    *("getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "uname", "sysinfo"),
    *("getrusage", "getrlimit", "setrlimit", "exit", "exit_group"),
    # Modules that Python imports late; Landlock says what is there to be read.
    *("open", "openat", "stat", "lstat", "fstat", "newfstatat", "statx", "access", "faccessat"),
    *("faccessat2", "getdents64", "readlink", "readlinkat", "getcwd"),
)


@dataclass(frozen=True)
class Rule:
    """What becomes of a call: `action`; where an argument is asked about, `otherwise` when it is not so."""

    name: str
    action: int
    argument: int = 0
    compare: int = 0
    value: int = 0
    otherwise: int = 0


def deny_reaching_out(*, signals: bool) -> bool:
    """`signals`: they cannot reach other processes than those that shall get them. Whether it could be done."""
    rules = [Rule(name, _DENIED) for name in _REACHING_OUT]
    rules.append(Rule("prlimit64", _ALLOW, 0, _EQUAL, 0, _DENIED))  # its own limits
    rules.append(Rule("clone", _DENIED, 0, _ANY_BIT, _NAMESPACES, _ALLOW))
    rules.append(Rule("clone3", _UNKNOWN))  # its flags cannot be looked at; libraries then take the other
    if not signals:
        rules += [Rule(name, _ALLOW, 0, _EQUAL, os.getpid(), _DENIED) for name in ("kill", "tgkill")]
        rules.append(Rule("tkill", _DENIED))
    return _install(rules, _ALLOW)


def allow_work_only() -> bool:
    """For this process, which starts no other. Whether it could be done."""
    rules = [Rule(name, _ALLOW) for name in _WORK]
    rules.append(Rule("prlimit64", _ALLOW, 0, _EQUAL, 0, _DENIED))
    rules.append(Rule("clone", _ALLOW, 0, _ANY_BIT, _THREAD, _DENIED))
    rules.append(Rule("clone3", _UNKNOWN))
    rules += [Rule(name, _ALLOW, 0, _EQUAL, os.getpid(), _DENIED) for name in ("kill", "tgkill")]
    return _install(rules, _DENIED)


def _install(rules: list[Rule], default: int) -> bool:
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        return False
    code = assembled(rules, default, machine)
    text = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(text))
    try:
        kernel.prctl(kernel.SECCOMP, kernel.number(_FILTER), ctypes.c_char_p(program))
    except OSError:
        return False
    return True


def assembled(rules: list[Rule], default: int, machine: str) -> bytes:
    """The filter's instructions, eight bytes each."""
    column, architecture = _ARCHITECTURES[machine]
    code = [
        *(_word(_LOAD, _ARCH_AT), _word(_EQUAL, architecture, 1, 0), _word(_RETURN, _KILL)),
        *(_word(_LOAD, _NUMBER_AT), _word(_AT_LEAST, _X32, 0, 1), _word(_RETURN, _DENIED)),
    ]
    for rule in rules:
        number = NUMBERS[rule.name][column]
        if number is None:
            continue
        if not rule.compare:
            code += [_word(_EQUAL, number, 0, 1), _word(_RETURN, rule.action)]
            continue
        # The low word of the argument, on machines that are little endian.
        code += [
            _word(_EQUAL, number, 0, 4),
            _word(_LOAD, _ARGUMENTS_AT + 8 * rule.argument),
            _word(rule.compare, rule.value, 0, 1),
            _word(_RETURN, rule.action),
            _word(_RETURN, rule.otherwise),
        ]
    code.append(_word(_RETURN, default))
    return b"".join(code)


def _word(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
