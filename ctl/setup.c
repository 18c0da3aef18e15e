/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/paths.h"
#include "manifest/host.h"
#include "manifest/identities.h"
#include "manifests.h"

#define FILE_MAX 16384

/* ---- what is there ---- */

void
setup_default_account(struct setup *s)
{
	char host[65] = "";
	size_t n;

	if (gethostname(host, sizeof(host) - 1) == -1 || host[0] == '\0')
		(void)snprintf(host, sizeof(host), "host");
	n = strcspn(host, ".");
	host[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (!spiffe_segment_valid(&host[i], 1))
			host[i] = '-';
	(void)snprintf(s->account, sizeof(s->account), "default/%s", host);
}

bool
setup_account_valid(const char *account)
{
	const char *slash = strchr(account, '/');

	return slash != NULL && strlen(account) < 2 * SPIFFE_TD_MAX && spiffe_segment_valid(account, (size_t)(slash - account)) &&
	    spiffe_segment_valid(slash + 1, strlen(slash + 1));
}

static bool
missing(const char *path)
{
	return access(path, F_OK) == -1 && errno == ENOENT;
}

void
setup_look(struct setup *s)
{
	s->write_host = missing(paths_etc("tulle.yaml"));
	s->write_identities = missing(paths_etc("identities.yaml"));
	s->make_folder = missing(paths_etc("mesh.d"));
	s->follows = s->member && manifests_own() == 0;
}

/* ---- the files ---- */

/* Where the trust domain goes once tulle join knows it. */
static const char no_domain[] = "# The trust domain is the authority's: tulle join writes it here.\n"
                                "# trustDomain: mesh.example\n";

static enum tulle_err
host_yaml(struct buf *out, const struct setup *s)
{
	const char *slash = strchr(s->account, '/');
	enum tulle_err e = buf_printf(out,
	    "# This host, for Tulle.  Every value has a default; tulle check looks for mistakes.\n\n");

	if (e == TULLE_OK && s->member && s->td[0] != '\0')
		e = buf_printf(out, "# The trust domain is the authority's; tulle join refuses another one.\ntrustDomain: %s\n\n", s->td);
	else if (e == TULLE_OK && s->member)
		e = buf_printf(out, "%s\n", no_domain);
	if (e == TULLE_OK && s->member)
		e = buf_printf(out,
		    "# Manifests: what the authority publishes (authority), or the files of this host in mesh.d (files).\n"
		    "manifests: {source: %s}\n\n",
		    s->follows ? "authority" : "files");
	if (e == TULLE_OK && s->member)
		e = buf_printf(out,
		    "identity:\n"
		    "  source: fleet\n");
	else if (e == TULLE_OK)
		e = buf_printf(out,
		    "# Whose names we speak: spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT.  Not to be changed once\n"
		    "# other hosts know it.\n"
		    "trustDomain: %s\n\n"
		    "identity:\n"
		    "  source: embedded      # this host has an authority of its own; fleet: it joins another host's\n",
		    s->td);
	if (e == TULLE_OK)
		e = buf_printf(out, "  ttl: 24h              # how long a certificate lives; renewed at half of that\n");
	if (e == TULLE_OK && slash != NULL)
		e = buf_printf(out,
		    "  # Who processes are that identities.yaml does not name:\n"
		    "  default: ns/%.*s/sa/%s\n",
		    (int)(slash - s->account), s->account, slash + 1);
	if (e == TULLE_OK)
		e = buf_printf(out,
		    "\n"
		    "# Where other hosts join and renew (tulle token, tulle join); \"off\" for a host alone:\n"
		    "# authority: {listen: \":15012\"}\n\n"
		    "# What is steered into the relay.  Tulle's own users and port 22 never are:\n"
		    "# capture: {outbound: true, inbound: true, exclude: {ports: [], cidrs: [], uids: []}}\n"
		    "%s%s%s\n"
		    "# Where telemetry goes (OTLP), and where Prometheus finds /metrics:\n"
		    "# telemetry: {destinations: [{otlp: \"http://127.0.0.1:4318\"}], metrics: \":9464\"}\n",
		    s->capture[0] != '\0' ? "capture: {" : "", s->capture, s->capture[0] != '\0' ? "}\n" : "");
	return e;
}

static const char identities_yaml[] =
    "# Which workload of this host is who.  A process gets the identity of each entry of\n"
    "# which all fields under match fit: unit (systemd), uid (name or number).\n"
    "# Names are NAMESPACE/ACCOUNT.  After a change: tulle reload\n"
    "#\n"
    "# - {serviceAccount: shop/cart, match: {unit: cart.service}}\n"
    "# - {serviceAccount: shop/jobs, match: {uid: jobs}, ttl: 1h}\n";

static int
fail(const struct setup *s, const char *what, const char *why)
{
	(void)fprintf(stderr, "tulle %s: %s: %s\n", s->verb, what, why);
	return EXIT_FAILURE;
}

/* Never over a file: not even over one that came since we looked. */
static enum tulle_err
write_new(const char *path, const void *data, size_t len)
{
	int AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	enum tulle_err e;

	if (fd == -1)
		return TULLE_ESYS;
	e = file_write_all(fd, data, len);
	if (e == TULLE_OK && fsync(fd) == -1)
		e = TULLE_ESYS;
	if (e)
		(void)unlink(path);
	return e;
}

int
setup_write(const struct setup *s)
{
	struct buf yaml = buf_new(FILE_MAX);
	enum tulle_err e = TULLE_OK;

	if (file_mkdirs(paths_etc("mesh.d"), 0755) != TULLE_OK)
		return fail(s, paths_etc("mesh.d"), strerror(errno));
	if (s->write_host) {
		e = host_yaml(&yaml, s);
		if (e == TULLE_OK)
			e = write_new(paths_etc("tulle.yaml"), buf_head(&yaml), buf_len(&yaml));
		buf_free(&yaml);
		if (e)
			return fail(s, paths_etc("tulle.yaml"), e == TULLE_ESYS ? strerror(errno) : tulle_strerror(e));
	}
	if (s->write_identities && write_new(paths_etc("identities.yaml"), identities_yaml, strlen(identities_yaml)) != TULLE_OK)
		return fail(s, paths_etc("identities.yaml"), strerror(errno));
	return EXIT_SUCCESS;
}

static bool
is_made_of(const struct setup *s)
{
	struct buf yaml = buf_new(FILE_MAX);
	char AUTO_FREE *text = NULL;
	size_t len = 0;
	bool ours = host_yaml(&yaml, s) == TULLE_OK && file_read(paths_etc("tulle.yaml"), FILE_MAX, &text, &len) == TULLE_OK &&
	    len == buf_len(&yaml) && memcmp(text, buf_head(&yaml), len) == 0;

	buf_free(&yaml);
	return ours;
}

bool
setup_is_ours(const struct setup *s)
{
	struct setup other = *s; /* manifests may have come, or gone, since it was written */

	other.follows = !s->follows;
	return is_made_of(s) || (s->member && is_made_of(&other));
}

int
setup_rewrite(const struct setup *before, const struct setup *s)
{
	struct buf yaml = buf_new(FILE_MAX);
	enum tulle_err e;

	if (!setup_is_ours(before))
		return EXIT_SUCCESS;
	e = host_yaml(&yaml, s);
	if (e == TULLE_OK)
		e = file_replace(paths_etc("tulle.yaml"), buf_head(&yaml), buf_len(&yaml), 0644);
	buf_free(&yaml);
	return e == TULLE_OK ? EXIT_SUCCESS : fail(s, paths_etc("tulle.yaml"), e == TULLE_ESYS ? strerror(errno) : tulle_strerror(e));
}

static bool
names_domain(void)
{
	struct problems problems;
	struct host_config *c = NULL;
	bool named;

	problems_init(&problems);
	named = host_config_read(&c, paths_etc("tulle.yaml"), &problems) != TULLE_OK || c->trust_domain_given;
	host_config_free(c);
	problems_free(&problems);
	return named; /* a file that is wrong is told by who reads it */
}

bool
setup_name_domain(const char *td)
{
	struct buf yaml = buf_new(4 * FILE_MAX);
	char AUTO_FREE *text = NULL;
	size_t len = 0;
	const char *room = file_read(paths_etc("tulle.yaml"), FILE_MAX, &text, &len) == TULLE_OK ? strstr(text, no_domain) : NULL;
	enum tulle_err e = TULLE_OK;

	if (names_domain())
		return true;
	if (room == NULL)
		return false;
	e = buf_append(&yaml, text, (size_t)(room - text));
	if (e == TULLE_OK)
		e = buf_printf(&yaml, "# The trust domain is the authority's; tulle join refuses another one.\ntrustDomain: %s\n", td);
	if (e == TULLE_OK)
		e = buf_append(&yaml, room + strlen(no_domain), len - (size_t)(room - text) - strlen(no_domain));
	if (e == TULLE_OK)
		e = file_replace(paths_etc("tulle.yaml"), buf_head(&yaml), buf_len(&yaml), 0644);
	buf_free(&yaml);
	return e == TULLE_OK;
}

int
setup_check(void)
{
	struct problems problems;
	struct host_config *c = NULL;
	struct identities *ids = NULL;
	int status;

	problems_init(&problems);
	(void)host_config_read(&c, paths_etc("tulle.yaml"), &problems);
	(void)identities_read(&ids, paths_etc("identities.yaml"), &problems);
	for (size_t i = 0; i < problems.n; i++)
		(void)fprintf(stderr, "%s\n", problems.list[i].line);
	status = problems.errors == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	host_config_free(c);
	identities_free(ids);
	problems_free(&problems);
	return status;
}
