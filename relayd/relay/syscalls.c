/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/syscalls.h"

#include "base/cleanup.h"
#include "io/privileges.h"

/*
 * Everything that the relay process may ask of the kernel, once its threads
 * and its memory are set up.  sysinfo is qsort()'s, which asks how much
 * memory there is when it sorts more than a kilobyte; gettimeofday and time
 * are calls only where the kernel offers no vDSO.  tests/check-syscalls finds
 * holes of this kind.
 */
static const char *const syscalls[] = { "accept4", "bind", "brk", "clock_gettime", "clock_nanosleep", "clone",
	"clone3", "close", "connect", "dup", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2",
	"exit", "exit_group", "fcntl", "fstat", "fsync", "ftruncate", "futex", "getdents64", "getegid", "geteuid",
	"getgid", "getpeername", "getpid", "getrandom", "getsockname", "getsockopt", "gettid", "gettimeofday", "getuid",
	"listen", "lseek", "madvise", "memfd_create", "mmap", "mprotect", "mremap", "munmap", "nanosleep", "newfstatat",
	"poll", "pread64", "prlimit64", "read", "recvfrom", "recvmsg", "restart_syscall", "rseq", "rt_sigaction",
	"rt_sigprocmask", "rt_sigreturn", "sched_getaffinity", "sched_yield", "sendmsg", "sendto", "set_robust_list",
	"setsockopt", "shutdown", "sigaltstack", "signalfd4", "socket", "sysinfo", "tgkill", "time", "write", "writev" };

enum tulle_err
syscalls_restrict(void)
{
	return privileges_syscalls(syscalls, ARRAY_LEN(syscalls));
}
