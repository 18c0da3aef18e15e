/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

enum tulle_err
privileges_user(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
	const struct passwd *pw;
	uint64_t number;

	if (text_uint(name, UINT32_MAX - 1, &number) == TULLE_OK) {
		*ret_uid = (uid_t)number;
		*ret_gid = (gid_t)number;
		return TULLE_OK;
	}
	pw = getpwnam(name);
	if (pw == NULL)
		return TULLE_ENOENT;
	*ret_uid = pw->pw_uid;
	*ret_gid = pw->pw_gid;
	return TULLE_OK;
}

enum tulle_err
privileges_drop(uid_t uid, gid_t gid)
{
	if (geteuid() == 0 && uid != 0) {
		if (setgroups(0, NULL) == -1 || setresgid(gid, gid, gid) == -1 || setresuid(uid, uid, uid) == -1)
			return TULLE_ESYS;
		if (setuid(0) != -1) { /* the way back must be shut */
			errno = EPERM;
			return TULLE_ESYS;
		}
	}
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS) != 0 && geteuid() != 0) {
		errno = EPERM;
		return TULLE_ESYS;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return TULLE_ESYS;
	return TULLE_OK;
}

void
privileges_no_dump(void)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

enum tulle_err
privileges_syscalls(const char *const *names, size_t n)
{
#ifdef TULLE_SANITIZED
	(void)names;
	(void)n;
	return TULLE_OK;
#else
	static const char *const refused[] = { "open", "openat" };
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	enum tulle_err e = TULLE_ESYS;

	if (ctx == NULL)
		return TULLE_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);

		if (nr == __NR_SCMP_ERROR) {
			e = TULLE_EINVAL;
			goto done;
		}
		if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0) != 0)
			goto done;
	}
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), seccomp_syscall_resolve_name(refused[i]), 0) != 0)
			goto done;
	if (seccomp_load(ctx) == 0)
		e = TULLE_OK;
done:
	seccomp_release(ctx);
	return e;
#endif
}

unsigned long
privileges_max_files(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return 1024;
	rl.rlim_cur = rl.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &rl);
	return (unsigned long)rl.rlim_cur;
}
