/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bundle.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "msg/msg.h"

struct entry {
	uint32_t name_len; /* with the NUL */
	uint32_t data_len; /* with a NUL behind it that does not count in len */
};

enum tulle_err
bundle_pack(int *ret_fd, const struct manifest_file *files, size_t n)
{
	struct buf b = buf_new(BUNDLE_MAX);
	enum tulle_err e = TULLE_OK;

	for (size_t i = 0; i < n && e == TULLE_OK; i++) {
		struct entry head = { .name_len = (uint32_t)strlen(files[i].name) + 1, .data_len = (uint32_t)files[i].len + 1 };

		e = buf_append(&b, &head, sizeof(head));
		if (e == TULLE_OK)
			e = buf_append(&b, files[i].name, head.name_len);
		if (e == TULLE_OK)
			e = buf_append(&b, files[i].data, files[i].len);
		if (e == TULLE_OK)
			e = buf_append(&b, "", 1);
	}
	if (e == TULLE_OK)
		e = msg_seal(ret_fd, n > 0 ? buf_head(&b) : (const uint8_t *)"", buf_len(&b));
	buf_free(&b);
	return e;
}

/* One entry at *at; false if it does not lie within <len> bytes. */
static bool
take_entry(const char *bytes, size_t len, size_t *at, struct manifest_file *ret)
{
	struct entry head;
	size_t left = len - *at;

	if (left < sizeof(head))
		return false;
	memcpy(&head, bytes + *at, sizeof(head));
	left -= sizeof(head);
	if (head.name_len == 0 || head.data_len == 0 || head.name_len > left || head.data_len > left - head.name_len)
		return false;
	ret->name = bytes + *at + sizeof(head);
	ret->data = ret->name + head.name_len;
	ret->len = head.data_len - 1;
	*at += sizeof(head) + head.name_len + head.data_len;
	return ret->name[head.name_len - 1] == '\0' && ret->data[ret->len] == '\0';
}

enum tulle_err
bundle_unpack(struct bundle *ret, int fd)
{
	struct bundle b = { 0 };
	struct manifest_file file;
	size_t len, at;
	enum tulle_err e = msg_unseal(fd, BUNDLE_MAX, &b.bytes, &len);

	if (e != TULLE_OK)
		return e;
	for (at = 0; at < len; b.n++) {
		if (!take_entry(b.bytes, len, &at, &file)) {
			bundle_free(&b);
			return TULLE_EPEER;
		}
	}
	b.files = calloc(b.n + 1, sizeof(*b.files));
	if (b.files == NULL) {
		bundle_free(&b);
		return TULLE_ENOMEM;
	}
	at = 0;
	for (size_t i = 0; i < b.n; i++)
		(void)take_entry(b.bytes, len, &at, &b.files[i]);
	b.manifests = b.n > 0;
	if (b.n >= 3 && b.files[2].name != NULL && strcmp(b.files[2].name, BUNDLE_USERS) == 0)
		b.manifests = 3;
	*ret = b;
	return TULLE_OK;
}

void
bundle_free(struct bundle *b)
{
	free(b->files);
	free(b->bytes);
	*b = (struct bundle){ 0 };
}

const struct manifest_file *
bundle_identities(const struct bundle *b)
{
	return b->manifests == 3 ? &b->files[1] : NULL;
}

const struct manifest_file *
bundle_users(const struct bundle *b)
{
	return b->manifests == 3 ? &b->files[2] : NULL;
}

/* The number first: a name may hold blanks. */
enum tulle_err
bundle_put_user(struct buf *out, const char *name, uint32_t uid)
{
	return buf_printf(out, "%u %s\n", uid, name);
}

enum tulle_err
bundle_find_user(const struct manifest_file *users, const char *name, uint32_t *ret_uid)
{
	const size_t want = strlen(name);

	for (const char *line = users->data, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		const char *blank = memchr(line, ' ', (size_t)(end - line));
		char AUTO_FREE *number = NULL;
		uint64_t uid;

		if (blank == NULL || (size_t)(end - blank - 1) != want || memcmp(blank + 1, name, want) != 0)
			continue;
		number = strndup(line, (size_t)(blank - line));
		if (number == NULL || text_uint(number, UINT32_MAX - 1, &uid) != TULLE_OK)
			return TULLE_ENOENT;
		*ret_uid = (uint32_t)uid;
		return TULLE_OK;
	}
	return TULLE_ENOENT;
}
