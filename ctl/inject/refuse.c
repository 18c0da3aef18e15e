/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inject/refuse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "inject/added.h"

#define PREFIX "tulle.mesh/"
#define HOUR_MS 3600000
#define GRACE_MIN_MS 5000
#define PORTS_MAX 1000 /* bytes of a list of ports */

struct refuse {
	const struct pod *pod;
	const struct inject_options *options;
	struct problems *problems;
};

static void wrong(const struct refuse *r, struct node *at, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* <field>: below the pod's template. */
static void
wrong(const struct refuse *r, struct node *at, const char *field, const char *fmt, ...)
{
	char whole[POD_FIELD], text[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	problem_error(r->problems, at->place, pod_field(whole, r->pod, "%s", field), "%s", text);
}

/* ---- annotations ------------------------------------------------------------------ */

/* One port; *s goes behind it.  0: it is none. */
static long
one_port(const char **s)
{
	char *end;
	long n;

	if (**s < '0' || **s > '9')
		return 0;
	n = strtol(*s, &end, 10);
	*s = end;
	return n <= 65535 ? n : 0;
}

/* "22,8080,9000-9010", as tulle-nfrules(8) reads it. */
static bool
good_ports(const char *s)
{
	if (strlen(s) > PORTS_MAX)
		return false;
	for (;; s++) {
		long from = one_port(&s), to = from;

		if (*s == '-') {
			s++;
			to = one_port(&s);
		}
		if (from == 0 || to < from || (*s != ',' && *s != '\0'))
			return false;
		if (*s == '\0')
			return true;
	}
}

static bool
good_duration(const char *s, uint64_t least)
{
	uint64_t ms;

	return text_duration(s, &ms) == TULLE_OK && ms >= least && ms <= HOUR_MS;
}

static const char *const annotation_names[] = { "inject", "status", "exclude-inbound-ports", "exclude-outbound-ports", "drain",
	"termination-grace", NULL };

/* What would be right for the annotation <name>; NULL: <value> is. */
static const char *
judge_annotation(const char *name, const char *value)
{
	if (strcmp(name, "inject") == 0)
		return strcmp(value, "true") == 0 || strcmp(value, "false") == 0 ? NULL : "\"true\" or \"false\" is needed";
	if (strcmp(name, "exclude-inbound-ports") == 0 || strcmp(name, "exclude-outbound-ports") == 0)
		return good_ports(value) ? NULL : "ports from 1 to 65535 are needed, with commas and without spaces: \"22,9000-9010\"";
	if (strcmp(name, "drain") == 0)
		return good_duration(value, 0) ? NULL : "a duration from \"0s\" to \"1h\" is needed";
	if (strcmp(name, "termination-grace") == 0)
		return good_duration(value, GRACE_MIN_MS) ? NULL : "a duration from \"5s\" to \"1h\" is needed";
	return NULL;
}

static void
check_annotation(const struct refuse *r, struct node *n)
{
	const char *key = node_text(n->key), *name, *value = node_text(n), *right, *meant;
	char field[100], shown[PROBLEM_SHOWN];

	if (key == NULL || strncmp(key, PREFIX, strlen(PREFIX)) != 0)
		return;
	name = key + strlen(PREFIX);
	(void)snprintf(field, sizeof(field), "metadata.annotations[%s]", problem_show(shown, key));
	for (size_t i = 0; annotation_names[i] != NULL; i++)
		if (strcmp(annotation_names[i], name) == 0) {
			if (value == NULL || !node_is_text(n))
				right = "must be a text: put it in quotes";
			else
				right = judge_annotation(name, value);
			if (right != NULL)
				wrong(r, node_value(n), field, "%s", right);
			return;
		}
	meant = problem_nearest(name, annotation_names);
	wrong(r, n->key, field, "unknown annotation%s%s%s", meant != NULL ? "; did you mean \"" PREFIX : "", meant != NULL ? meant : "",
	    meant != NULL ? "\"?" : "");
}

/* In front of the template they have no effect, and whoever wrote them thinks that they have. */
static void
check_misplaced(const struct refuse *r)
{
	struct node *a = node_get(node_get(r->pod->object, "metadata"), "annotations");
	char field[POD_FIELD];

	if (r->pod->frame == r->pod->object || a == NULL || a->kind != NODE_MAP)
		return;
	for (struct node *n = a->first; n != NULL; n = n->next) {
		const char *key = node_text(n->key);

		if (key != NULL && strncmp(key, PREFIX, strlen(PREFIX)) == 0)
			problem_error(r->problems, n->key->place, "metadata.annotations", "an annotation %s... has no effect here; write it to %s",
			    PREFIX, pod_field(field, r->pod, "metadata.annotations"));
	}
}

static void
check_annotations(const struct refuse *r)
{
	struct node *a = r->pod->annotations;

	check_misplaced(r);
	for (struct node *n = a != NULL ? a->first : NULL; n != NULL; n = n->next)
		check_annotation(r, n);
}

/* ---- other meshes ------------------------------------------------------------------ */

static const struct {
	const char *container, *mesh;
} others[] = { { "istio-proxy", "Istio" }, { "istio-init", "Istio" }, { "istio-validation", "Istio" }, { "linkerd-proxy", "Linkerd" },
	{ "linkerd-init", "Linkerd" }, { "kuma-sidecar", "Kuma" }, { "kuma-init", "Kuma" }, { "consul-dataplane", "Consul" },
	{ "consul-connect-inject-init", "Consul" } };

static const struct {
	const char *place, *key, *value, *mesh;
} asked_for[] = { { "labels", "sidecar.istio.io/inject", "true", "Istio" }, { "annotations", "sidecar.istio.io/inject", "true", "Istio" },
	{ "annotations", "linkerd.io/inject", "enabled", "Linkerd" }, { "labels", "kuma.io/sidecar-injection", "enabled", "Kuma" },
	{ "annotations", "kuma.io/sidecar-injection", "enabled", "Kuma" },
	{ "annotations", "consul.hashicorp.com/connect-inject", "true", "Consul" } };

static void
check_other_meshes(const struct refuse *r)
{
	char field[100];

	for (size_t i = 0; i < ARRAY_LEN(asked_for); i++) {
		struct node *n = node_get(node_get(r->pod->metadata, asked_for[i].place), asked_for[i].key);
		const char *value = node_text(n);

		if (value == NULL || strcmp(value, asked_for[i].value) != 0)
			continue;
		(void)snprintf(field, sizeof(field), "metadata.%s[\"%s\"]", asked_for[i].place, asked_for[i].key);
		wrong(r, n, field, "asks %s for a sidecar of its own; a pod can be in one mesh only: remove it, or leave this pod out with the "
		    "annotation tulle.mesh/inject: \"false\"", asked_for[i].mesh);
	}
}

/* ---- containers --------------------------------------------------------------------- */

static void
check_name(const struct refuse *r, struct node *c, const char *at)
{
	struct node *n = node_get(c, "name");
	const char *name = node_text(n);
	char field[100];

	(void)snprintf(field, sizeof(field), "%s.name", at);
	if (name == NULL) {
		wrong(r, c, field, "is missing");
		return;
	}
	if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name) || strlen(name) > 63) {
		wrong(r, n, field, "a container's name has small letters, digits and \"-\" only, at most 63");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (strcmp(others[i].container, name) == 0)
			wrong(r, n, field, "is the sidecar of %s; a pod can be in one mesh only: take that one out first", others[i].mesh);
	if (strcmp(name, ADDED_SIDECAR) == 0 || strcmp(name, ADDED_INIT) == 0)
		wrong(r, n, field, "is the name of Tulle's own container; rename this one");
}

static const struct {
	int64_t port;
	const char *what;
} taken[] = { { 15001, "outbound connections" }, { 15006, "inbound connections" }, { 15008, "tunnels (HBONE)" },
	{ 15020, "the sidecar's health and probes" }, { 15021, "the relay's health" }, { 15053, "DNS" }, { 9464, "metrics" } };

static void
check_ports(const struct refuse *r, struct node *c, const char *at)
{
	static const char *const fields[] = { "containerPort", "hostPort" };
	struct node *ports = node_get(c, "ports");
	char field[150];
	size_t i = 0;

	for (struct node *p = ports != NULL && ports->kind == NODE_LIST ? ports->first : NULL; p != NULL; p = p->next, i++)
		for (size_t f = 0; f < ARRAY_LEN(fields); f++) {
			struct node *n = node_get(p, fields[f]);
			int64_t port;

			for (size_t t = 0; n != NULL && node_int(n, &port) && t < ARRAY_LEN(taken); t++)
				if (taken[t].port == port) {
					(void)snprintf(field, sizeof(field), "%s.ports[%zu].%s", at, i, fields[f]);
					wrong(r, n, field, "is Tulle's own port for %s; choose another", taken[t].what);
				}
		}
}

/* A container that runs as the sidecar's user would go past the mesh: nothing of that user is captured. */
static void
check_user(const struct refuse *r, struct node *c, const char *at)
{
	struct node *n = node_get(node_get(c, "securityContext"), "runAsUser");
	bool own = !node_null(n);
	char field[150];
	int64_t uid;

	if (!own)
		n = node_get(node_get(r->pod->spec, "securityContext"), "runAsUser");
	if (node_null(n) || !node_int(n, &uid) || uid != ADDED_UID)
		return;
	(void)snprintf(field, sizeof(field), "%s.securityContext.runAsUser", at);
	wrong(r, n, own ? field : "spec.securityContext.runAsUser",
	    "%d is the sidecar's user, whose connections are not captured%s; choose another", ADDED_UID,
	    own ? "" : ", and a container takes it from here");
}

static void
check_mounts(const struct refuse *r, struct node *c, const char *at)
{
	struct node *mounts = node_get(c, "volumeMounts");
	char field[150];
	size_t i = 0;

	for (struct node *m = mounts != NULL && mounts->kind == NODE_LIST ? mounts->first : NULL; m != NULL; m = m->next, i++) {
		struct node *n = node_get(m, "mountPath");
		const char *path = node_text(n);
		size_t len = path != NULL ? strlen(path) : 0;

		while (len > 1 && path[len - 1] == '/')
			len--;
		for (const struct added_mount *a = added_mounts; path != NULL && a->volume != NULL; a++)
			if (strlen(a->path) == len && strncmp(path, a->path, len) == 0) {
				(void)snprintf(field, sizeof(field), "%s.volumeMounts[%zu].mountPath", at, i);
				wrong(r, n, field, "is where the sidecar has its volume %s; mount it elsewhere", a->volume);
			}
	}
}

static void
check_containers(const struct refuse *r, const char *list)
{
	struct node *n = node_get(r->pod->spec, list);
	char at[60];
	size_t i = 0;

	(void)snprintf(at, sizeof(at), "spec.%s", list);
	if (!node_null(n) && n->kind != NODE_LIST)
		wrong(r, n, at, "must be a list");
	POD_EACH_CONTAINER (r->pod, list, entry) {
		struct node *c = node_value(entry);

		(void)snprintf(at, sizeof(at), "spec.%s[%zu]", list, i++);
		if (c->kind != NODE_MAP) {
			wrong(r, entry, at, "must be a mapping");
			continue;
		}
		check_name(r, c, at);
		check_ports(r, c, at);
		check_user(r, c, at);
		check_mounts(r, c, at);
	}
}

/* ---- the pod as a whole --------------------------------------------------------------- */

static void
check_volumes(const struct refuse *r)
{
	struct node *volumes = node_get(r->pod->spec, "volumes");
	char field[60];
	size_t i = 0;

	if (!node_null(volumes) && volumes->kind != NODE_LIST)
		wrong(r, volumes, "spec.volumes", "must be a list");
	for (struct node *v = volumes != NULL && volumes->kind == NODE_LIST ? volumes->first : NULL; v != NULL; v = v->next, i++) {
		struct node *n = node_get(v, "name");
		const char *name = node_text(n);

		for (const struct added_mount *a = added_mounts; name != NULL && a->volume != NULL; a++)
			if (strcmp(a->volume, name) == 0) {
				(void)snprintf(field, sizeof(field), "spec.volumes[%zu].name", i);
				wrong(r, n, field, "is the name of Tulle's own volume; rename this one");
			}
	}
}

static void
check_system(const struct refuse *r)
{
	struct node *spec = r->pod->spec, *os = node_get(node_get(spec, "os"), "name");
	struct node *selected = node_get(node_get(spec, "nodeSelector"), "kubernetes.io/os");
	const char *text = node_text(os), *node = node_text(selected);

	if (text != NULL && strcmp(text, "linux") != 0)
		wrong(r, os, "spec.os.name", "Tulle runs on Linux; leave this pod out with the annotation tulle.mesh/inject: \"false\"");
	if (node != NULL && strcmp(node, "linux") != 0)
		wrong(r, selected, "spec.nodeSelector[\"kubernetes.io/os\"]",
		    "Tulle runs on Linux; leave this pod out with the annotation tulle.mesh/inject: \"false\"");
}

/* A classic sidecar ends with a job because it sees the job's processes. */
static void
check_processes(const struct refuse *r)
{
	struct node *shared = node_get(r->pod->spec, "shareProcessNamespace"), *host = node_get(r->pod->spec, "hostPID");
	struct node *restart = node_get(r->pod->spec, "restartPolicy");
	const char *policy = node_text(restart);

	if (!r->options->classic || !pod_ends(r->pod))
		return;
	/* It ends when the work does, well or not: who then starts the work once more in this pod would do so without it. */
	if (policy != NULL && strcmp(policy, "OnFailure") == 0)
		wrong(r, restart, "spec.restartPolicy",
		    "kubelet would start failed work again in a pod whose classic sidecar has ended with it; use restartPolicy: Never, the Job "
		    "then makes a new pod, or --sidecar=native");
	if (node_false(shared))
		wrong(r, shared, "spec.shareProcessNamespace",
		    "must not be false where a classic sidecar has to see that the pod's work is done; remove it, or use --sidecar=native");
	if (node_true(host))
		wrong(r, host, "spec.hostPID",
		    "a classic sidecar would wait for all processes of the node to end; use --sidecar=native");
}

static bool
was_injected(const struct refuse *r)
{
	struct node *status = pod_annotation(r->pod, "status");

	if (status == NULL)
		return false;
	wrong(r, status, "metadata.annotations[\"tulle.mesh/status\"]", "is injected already; tulle uninject first");
	return true;
}

void
refuse_pod(const struct pod *p, const struct inject_options *o, struct problems *problems)
{
	struct refuse r = { p, o, problems };
	struct node *network = node_get(p->spec, "hostNetwork"), *containers = node_get(p->spec, "containers");

	if (was_injected(&r))
		return; /* all else would be about what is ours */
	check_annotations(&r);
	check_other_meshes(&r);
	if (node_true(network))
		wrong(&r, network, "spec.hostNetwork",
		    "the pod has the node's network, whose traffic is not the pod's to steer; install Tulle on the node instead, or leave this "
		    "pod out with the annotation tulle.mesh/inject: \"false\"");
	check_system(&r);
	check_processes(&r);
	check_containers(&r, "initContainers");
	check_containers(&r, "containers");
	if (containers == NULL || containers->kind != NODE_LIST || containers->n == 0)
		wrong(&r, p->spec, "spec.containers", "is missing");
	check_volumes(&r);
}

bool
refuse_unwanted(const struct pod *p)
{
	struct node *n = pod_annotation(p, "inject");
	const char *value = node_text(n);

	return value != NULL && node_is_text(n) && strcmp(value, "false") == 0;
}
