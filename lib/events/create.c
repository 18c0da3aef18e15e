/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "events/write.h"

/* Left at zero if the kernel does not tell. */
static void
boot_id_read(uint8_t ret[16])
{
	char AUTO_FREE *text = NULL;
	char digits[33];
	size_t len, n = 0;

	if (file_read("/proc/sys/kernel/random/boot_id", 64, &text, &len) != TULLE_OK)
		return;
	for (size_t i = 0; i < len && n < 32; i++)
		if (text[i] != '-' && text[i] != '\n')
			digits[n++] = text[i];
	digits[n] = '\0';
	(void)text_unhex(digits, ret, 16);
}

/* Texts 0 and 1 and the overflow series, for each worker. */
static void
worker_init(uint8_t *worker, const struct events_layout *l)
{
	static const char other[] = "_other";
	struct events_control *control = (struct events_control *)(void *)worker;
	struct events_text_place *places = (struct events_text_place *)(void *)(worker + l->places);

	places[EVENTS_TEXT_OTHER] = (struct events_text_place){ .off = 0, .len = sizeof(other) - 1 };
	memcpy(worker + l->bytes, other, sizeof(other) - 1);
	control->texts = 2;
	control->series = 1;
}

enum tulle_err
events_create_sized(int *ret_fd, const struct events_sizes *sizes)
{
	int AUTO_FD fd = -1;
	struct events_layout l;
	struct events_header *h;
	uint8_t *base;

	if (events_layout_of(&l, sizes) != TULLE_OK)
		return TULLE_EINVAL;
	fd = memfd_create("tulle-events", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd == -1 || ftruncate(fd, (off_t)l.total) == -1)
		return TULLE_ESYS;
	base = mmap(NULL, l.total, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return TULLE_ESYS;
	h = (struct events_header *)(void *)base;
	h->magic = EVENTS_MAGIC;
	h->version = EVENTS_LAYOUT_VERSION;
	h->header_bytes = sizeof(*h);
	h->vocab = events_vocab_digest();
	h->sizes = l.sizes;
	boot_id_read(h->boot_id);
	h->start_wall_ns = clock_wall_ns();
	if (getrandom(&h->segment_id, sizeof(h->segment_id), 0) != sizeof(h->segment_id)) {
		(void)munmap(base, l.total);
		return TULLE_ESYS;
	}
	for (uint32_t i = 0; i < sizes->workers; i++)
		worker_init(base + events_layout_worker(&l, i), &l);
	(void)munmap(base, l.total);
	/* The reader relies on it: a file that shrinks under a mapping kills who reads there. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1)
		return TULLE_ESYS;
	*ret_fd = fd_take(&fd);
	return TULLE_OK;
}

enum tulle_err
events_create(int *ret_fd, uint32_t workers)
{
	const struct events_sizes sizes = {
		.workers = workers,
		.slots = EVENTS_SLOTS_DEFAULT,
		.texts = EVENTS_TEXTS_DEFAULT,
		.text_bytes = EVENTS_TEXT_BYTES_DEFAULT,
		.series = EVENTS_SERIES_MAX,
	};

	return events_create_sized(ret_fd, &sizes);
}

enum tulle_err
events_doorbell(int *ret_fd)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd == -1)
		return TULLE_ESYS;
	*ret_fd = fd;
	return TULLE_OK;
}
