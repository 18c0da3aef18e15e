/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the daemon and the ca verbs need alike before anything can be done: folders, the trust domain, the seal. */
#include <errno.h>
#include <string.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon.h"
#include "store/crypt.h"

/* ICANN has set .internal aside for private use. */
#define SOLO_SUFFIX "tulle.internal"

enum tulle_err
state_folder(const char *dir, mode_t mode, uid_t uid, gid_t gid)
{
	char AUTO_FREE *above = strdup(dir);
	char *slash = above == NULL ? NULL : strrchr(above, '/');
	struct stat st;
	enum tulle_err e;

	if (slash == NULL)
		return TULLE_ENOMEM;
	*slash = '\0';
	e = file_mkdirs(above, 0755); /* another user must get through */
	if (e == TULLE_OK)
		e = file_mkdirs(dir, mode);
	if (e)
		return e;
	if (stat(dir, &st) == -1)
		return TULLE_ESYS;
	if (geteuid() == 0 && (st.st_uid != uid || st.st_gid != gid) && chown(dir, uid, gid) == -1)
		return TULLE_ESYS;
	if ((st.st_mode & 07777) != mode && (geteuid() == 0 || st.st_uid == geteuid()) && chmod(dir, mode) == -1)
		return TULLE_ESYS;
	return TULLE_OK;
}

static enum tulle_err
solo_domain(char ret[SPIFFE_TD_MAX + 1])
{
	uint8_t bits[16];
	char hex[33];
	enum tulle_err e = crypt_random(bits, sizeof(bits));

	if (e == TULLE_OK)
		(void)snprintf(ret, SPIFFE_TD_MAX + 1, "%s." SOLO_SUFFIX, text_hex(bits, sizeof(bits), hex));
	return e;
}

enum tulle_err
state_trust_domain(struct store *s, const struct config *c, char ret[SPIFFE_TD_MAX + 1], struct buf *error)
{
	const char *known = value_text(store_get(s, "self", "trust_domain"), "name");
	bool fixed = store_table(s, "ca") != NULL && json_object_size(store_table(s, "ca")) > 0;
	char td[SPIFFE_TD_MAX + 1];
	enum tulle_err e;

	if (c->td_given)
		(void)snprintf(td, sizeof(td), "%s", c->host->trust_domain);
	else if (*known != '\0')
		(void)snprintf(td, sizeof(td), "%s", known);
	else if ((e = solo_domain(td)) != TULLE_OK)
		return e;
	if (*known != '\0' && strcmp(known, td) != 0 && fixed) {
		(void)buf_printf(error,
		    "tulle.yaml: trustDomain: this host's authority is for \"%s\", not for \"%s\"; write the former, or stop "
		    "tulle-certd and move its state away to begin anew\n",
		    known, td);
		return TULLE_EINVAL;
	}
	if (strcmp(known, td) != 0) {
		if (!c->td_given)
			log_notice("no trustDomain in tulle.yaml: one was made up for this host", LF_STR("trust_domain", td));
		e = store_put(s, "self", "trust_domain", json_pack("{ss}", "name", td));
		if (e)
			return e;
	}
	memcpy(ret, td, sizeof(td));
	return TULLE_OK;
}

enum tulle_err
state_seal_key(const char *dir, uint8_t ret[32])
{
	char AUTO_FREE *path = NULL;
	char *data;
	size_t len;
	enum tulle_err e;

	if (asprintf(&path, "%s/seal.key", dir) == -1) {
		path = NULL;
		return TULLE_ENOMEM;
	}
	e = file_read(path, 64, &data, &len);
	if (e == TULLE_ENOENT) {
		e = crypt_random(ret, 32);
		return e ? e : file_replace(path, ret, 32, 0600);
	}
	if (e)
		return e;
	if (len == 32)
		memcpy(ret, data, 32);
	explicit_bzero(data, len);
	free(data);
	return len == 32 ? TULLE_OK : TULLE_EINVAL;
}
