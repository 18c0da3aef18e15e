/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "children.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

#define PROGRAM_MAX 512

static const char *const names[MEMBERS] = { [MEMBER_CERTD] = "tulle-certd", [MEMBER_TELEMETRYD] = "tulle-telemetryd",
	[MEMBER_RELAYD] = "tulle-relayd" };

const char *
member_name(enum member m)
{
	return names[m];
}

/* SIGUSR1 is relayd's: it has to wait until relayd listens for it, and would end it before. */
static void
leave_mask(sigset_t *ret)
{
	(void)sigemptyset(ret);
	(void)sigaddset(ret, SIGUSR1);
}

/* In the child.  Does not return. */
static void
become(const struct children *c, enum member m, pid_t parent)
{
	char program[PROGRAM_MAX], name[32], option[] = "--root", root[PROGRAM_MAX];
	char *argv[] = { name, *c->root != '\0' ? option : NULL, root, NULL };
	sigset_t mask;

	leave_mask(&mask);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(EXIT_FAILURE); /* it died before the line above */
	(void)snprintf(program, sizeof(program), "%s/%s", c->folder, names[m]);
	(void)snprintf(name, sizeof(name), "%s", names[m]);
	(void)snprintf(root, sizeof(root), "%s", c->root);
	(void)execv(program, argv);
	log_error("cannot execute", LF_STR("file", program), LF_ERRNO);
	_exit(127);
}

bool
children_start(struct children *c, enum member m)
{
	pid_t parent = getpid(), pid;
	sigset_t mask;

	leave_mask(&mask);
	(void)sigprocmask(SIG_BLOCK, &mask, NULL); /* for good: this process has no use for it */
	pid = fork();

	if (pid == -1) {
		log_error("cannot start a process", LF_STR("name", names[m]), LF_ERRNO);
		return false;
	}
	if (pid == 0)
		become(c, m, parent);
	(void)setpgid(pid, pid); /* whoever of the two comes first */
	c->pid[m] = pid;
	return true;
}

void
children_signal(const struct children *c, enum member m, int signo)
{
	/* A relay process outlives its parent and drains: who has no time left for that ends it as well. */
	if (c->pid[m] > 0)
		(void)kill(signo == SIGKILL ? -c->pid[m] : c->pid[m], signo);
}

bool
children_reap(struct children *c, enum member *ret_m, int *ret_status)
{
	int status;
	pid_t pid = waitpid(-1, &status, WNOHANG);

	if (pid <= 0)
		return false;
	*ret_m = MEMBERS;
	*ret_status = status;
	for (enum member m = 0; m < MEMBERS; m++)
		if (c->pid[m] == pid) {
			c->pid[m] = 0;
			*ret_m = m;
		}
	return true;
}
