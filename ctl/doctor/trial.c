/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "doctor/trial.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/paths.h"
#include "io/ctlsock.h"
#include "io/sock.h"
#include "look/answers.h"

#define CONNECT_MS 5000
#define WAIT_MS 4000 /* a tunnel, its handshake, and the application's answer */
#define STATUS_MS 3000

/* The relay's words (lib/events/vocab.h) in ours: '@' stands for where it tried, '$' for the identity there. */
static const struct {
	const char *reason, *text;
} words[] = {
	{ "connect_refused", "@ refuses the connection: no relay listens there, or, on this host or outside the mesh, no application" },
	{ "connect_timeout", "@ does not answer: a firewall drops the packets, or the host is down" },
	{ "connect_unreachable", "@ cannot be reached: no route, or nobody has this address" },
	{ "tunnel_denied", "denied by a policy of the other side: the AuthorizationPolicies at @ do not let this host's identity in; "
	                   "tulle status on that host names file and line" },
	{ "tunnel_refused", "the application is down: the relay at @ answers, and nobody takes the connection there; tulle doctor on "
	                    "that host says more" },
	{ "tunnel_timeout", "no tunnel to @ within the time: does a firewall drop port 15008?" },
	{ "tunnel_lost", "the relay at @ broke the tunnel off; its log says why" },
	{ "certificate_refused", "the certificates do not fit: the relay at @ does not prove to be $, or does not believe this host; are "
	                         "both of one trust domain, and the clocks right?  tulle doctor on both" },
	{ "no_identity", "this host has no identity to speak with: tulle status says why" },
	{ "no_endpoint", "the service has no endpoint" },
	{ "no_configuration", "no configuration is in force: mend the manifests, then tulle reload" },
	{ "not_in_registry", "no manifest names it, and outboundTrafficPolicy is REGISTRY_ONLY" },
};

static void
expand(char *out, size_t size, const char *text, const char *at, const char *identity)
{
	size_t n = strlen(out);

	for (; *text != '\0' && n + 1 < size; text++) {
		const char *piece = *text == '@' ? at : *text == '$' ? identity : NULL;

		if (piece == NULL) {
			out[n++] = *text;
			out[n] = '\0';
		} else {
			(void)snprintf(out + n, size - n, "%s", piece);
			n = strlen(out);
		}
	}
}

void
trial_explain(struct verdict *v, const char *who, const char *reason, const char *upstream, const char *identity,
    const char *policy)
{
	v->health = BROKEN;
	(void)snprintf(v->text, sizeof(v->text), "%s: ", who);
	if (strcmp(reason, "denied_by_policy") == 0) {
		expand(v->text, sizeof(v->text), *policy != '\0' ? "denied by policy: @" : "denied by policy", policy, "");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i].reason, reason) == 0) {
			expand(v->text, sizeof(v->text), words[i].text, *upstream != '\0' ? upstream : "it",
			    *identity != '\0' ? identity : "the right one");
			return;
		}
	expand(v->text, sizeof(v->text), "the relay gave up: @", reason, "");
}

/* What the relay says of the connection that came from <from>, the newest first.  False: nothing. */
static bool
look_up(struct verdict *v, const char *who, const struct addr *from)
{
	json_t *status = NULL, *w;
	char source[ADDR_TEXT];
	char *error = NULL;
	bool found = false;
	size_t i;

	if (ctl_call(paths_run("relayd.sock"), "status", NULL, STATUS_MS, &status, &error) != TULLE_OK) {
		free(error);
		return false;
	}
	(void)addr_format(from, source);
	json_array_foreach(json_object_get(json_object_get(status, "relay"), "workers"), i, w) {
		const json_t *list = json_object_get(json_object_get(w, "failures"), "outbound");

		for (size_t k = json_array_size(list); k-- > 0 && !found;) {
			const json_t *one = json_array_get(list, k);

			found = strcmp(answer_text(one, "peer", ""), source) == 0;
			if (found)
				trial_explain(v, who, answer_text(one, "reason", "?"), answer_text(one, "upstream", ""),
				    answer_text(one, "identity", ""), answer_text(one, "policy", ""));
		}
	}
	json_decref(status);
	return found;
}

/* 0: it stands, or ended in good order; else an errno. */
static int
use(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int err = 0;
	socklen_t len = sizeof(err);
	char byte;

	if (poll(&p, 1, CONNECT_MS) != 1)
		return ETIMEDOUT;
	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err != 0)
		return err;
	(void)shutdown(fd, SHUT_WR);
	p.events = POLLIN;
	if (poll(&p, 1, WAIT_MS) != 1)
		return 0; /* nobody broke it off */
	return recv(fd, &byte, 1, 0) == -1 ? errno : 0;
}

void
trial_run(struct verdict *v, const char *who, const struct addr *to)
{
	char at[ADDR_TEXT];
	struct addr from = { .family = 0 };
	int AUTO_FD fd = -1;
	enum tulle_err e = sock_connect(&fd, to);
	int err = e == TULLE_OK || e == TULLE_AGAIN ? use(fd) : errno;

	(void)addr_format(to, at);
	if (err == 0) {
		v->health = WELL;
		(void)snprintf(v->text, sizeof(v->text), "%s: a connection to %s through the relay stands", who, at);
		return;
	}
	if (fd != -1)
		(void)sock_local(fd, &from);
	if (look_up(v, who, &from))
		return;
	v->health = BROKEN;
	(void)snprintf(v->text, sizeof(v->text), "%s: a connection to %s ended with: %s", who, at, strerror(err));
}
