/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/self.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

void
self_open(struct self *s)
{
	s->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	s->fds = opendir("/proc/self/fd");
	s->started_ns = clock_wall_ns();
	(void)sysconf(_SC_PAGESIZE);
}

int64_t
self_resident(const struct self *s)
{
	unsigned long size, pages;
	char text[128];
	ssize_t n = s->statm != -1 ? pread(s->statm, text, sizeof(text) - 1, 0) : -1;

	if (n <= 0)
		return -1;
	text[n] = '\0';
	return sscanf(text, "%lu %lu", &size, &pages) == 2 ? (int64_t)pages * sysconf(_SC_PAGESIZE) : -1;
}

static json_int_t
descriptors(const struct self *s)
{
	json_int_t n = 0;

	if (s->fds == NULL)
		return -1;
	rewinddir(s->fds);
	while (readdir(s->fds) != NULL)
		n++;
	return n - 2; /* "." and ".." */
}

json_t *
own_process_json(const struct self *s)
{
	struct timespec cpu = { 0 };

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	return json_pack("{s:i, s:s, s:I, s:I, s:I, s:I}", "pid", (int)getpid(), "name", "relay", "cpu_ns",
	    (json_int_t)cpu.tv_sec * (json_int_t)NS_PER_SEC + cpu.tv_nsec, "rss_bytes", (json_int_t)self_resident(s), "fds", descriptors(s),
	    "started", (json_int_t)s->started_ns);
}
