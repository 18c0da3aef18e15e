/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inject/added.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "inject/probes.h"

#define TOKEN_LIFE 3600 /* seconds; kubelet renews it after four fifths of that */

const struct added_mount added_mounts[] = {
	/* Not /etc/tulle itself: within a ConfigMap, which is read-only, nothing else could be mounted. */
	{ "tulle-config", "/etc/tulle/config" },
	{ "tulle-mesh", "/etc/tulle/mesh.d" },
	{ "tulle-run", "/run/tulle" },
	{ "tulle-state", "/var/lib/tulle" },
	{ "tulle-token", "/var/run/secrets/tulle" },
	{ "tulle-node", "/run/tulle/node" },
	{ NULL, NULL },
};

static json_t *
mount(const char *volume, bool read_only)
{
	const struct added_mount *m = added_mounts;

	while (strcmp(m->volume, volume) != 0)
		m++;
	return read_only ? json_pack("{s:s, s:s, s:b}", "name", m->volume, "mountPath", m->path, "readOnly", 1) :
			   json_pack("{s:s, s:s}", "name", m->volume, "mountPath", m->path);
}

/* {"requests": {...}, "limits": {...}} of "50m:500m" and "64Mi:256Mi". */
static json_t *
resources(const struct inject_options *o)
{
	const struct { const char *name, *text; } what[] = { { "cpu", o->cpu }, { "memory", o->memory } };
	json_t *requests = json_object(), *limits = json_object(), *out = json_object();

	for (size_t i = 0; i < ARRAY_LEN(what); i++) {
		const char *colon = strchr(what[i].text, ':');
		size_t n = colon != NULL ? (size_t)(colon - what[i].text) : strlen(what[i].text);

		(void)json_object_set_new(requests, what[i].name, json_stringn(what[i].text, n));
		if (colon != NULL)
			(void)json_object_set_new(limits, what[i].name, json_string(colon + 1));
	}
	(void)json_object_set_new(out, "requests", requests);
	if (json_object_size(limits) > 0)
		(void)json_object_set_new(out, "limits", limits);
	else
		json_decref(limits);
	return out;
}

/* The restricted Pod Security profile; <steers>: but for what writing rules needs, which is uid 0 and one capability. */
static json_t *
security(bool steers)
{
	json_t *s = json_pack("{s:b, s:i, s:i, s:b, s:b, s:{s:[s]}, s:{s:s}}", "runAsNonRoot", !steers, "runAsUser",
	    steers ? 0 : ADDED_UID, "runAsGroup", steers ? 0 : ADDED_UID, "allowPrivilegeEscalation", 0, "readOnlyRootFilesystem", 1,
	    "capabilities", "drop", "ALL", "seccompProfile", "type", "RuntimeDefault");

	if (s != NULL && steers)
		(void)json_object_set_new(json_object_get(s, "capabilities"), "add", json_pack("[s]", "NET_ADMIN"));
	return s;
}

static void
set_env(json_t *env, const char *name, const char *value)
{
	if (value != NULL)
		(void)json_array_append_new(env, json_pack("{s:s, s:s}", "name", name, "value", value));
}

static json_t *
container(const struct inject_options *o, const char *name)
{
	json_t *c = json_pack("{s:s, s:s}", "name", name, "image", o->image);

	if (o->pull_policy != NULL)
		(void)json_object_set_new(c, "imagePullPolicy", json_string(o->pull_policy));
	return c;
}

json_t *
added_init(const struct inject_options *o, const struct added_pod *p)
{
	json_t *c = container(o, ADDED_INIT), *env = json_array();

	set_env(env, "XTABLES_LOCKFILE", "/run/tulle/xtables.lock"); /* the container's own /run cannot be written to */
	set_env(env, "TULLE_EXCLUDE_INBOUND_PORTS", p->exclude_inbound);
	set_env(env, "TULLE_EXCLUDE_OUTBOUND_PORTS", p->exclude_outbound);
	(void)json_object_set_new(c, "command", json_pack("[ss]", "/usr/sbin/tulle-nfrules", "apply"));
	(void)json_object_set_new(c, "env", env);
	(void)json_object_set_new(c, "resources", resources(o));
	(void)json_object_set_new(c, "securityContext", security(true));
	(void)json_object_set_new(c, "volumeMounts", json_pack("[oo]", mount("tulle-config", true), mount("tulle-run", false)));
	return c;
}

/* Names as Kubernetes has them: what could mean something else in a variable does not get there. */
static bool
is_name(const char *s)
{
	return s != NULL && *s != '\0' && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == strlen(s) && strlen(s) < 254;
}

/* Who telemetry is of.  What stands in the manifest is written out: podman has no fieldRef. */
static void
telemetry_env(json_t *env, const struct added_pod *p)
{
	char attributes[300];

	if (is_name(p->service))
		set_env(env, "OTEL_SERVICE_NAME", p->service);
	if (is_name(p->namespace)) {
		(void)snprintf(attributes, sizeof(attributes), "service.namespace=%s", p->namespace);
		set_env(env, "OTEL_RESOURCE_ATTRIBUTES", attributes);
		return;
	}
	(void)json_array_append_new(env,
	    json_pack("{s:s, s:{s:{s:s}}}", "name", "POD_NAMESPACE", "valueFrom", "fieldRef", "fieldPath", "metadata.namespace"));
	set_env(env, "OTEL_RESOURCE_ATTRIBUTES", "service.namespace=$(POD_NAMESPACE)");
}

static json_t *
sidecar_env(const struct inject_options *o, const struct added_pod *p)
{
	char AUTO_FREE *probes = NULL;
	json_t *env = json_array();

	telemetry_env(env, p);
	if (!o->classic)
		set_env(env, "TULLE_NATIVE", "1");
	else if (p->ends)
		set_env(env, "TULLE_END_WITH_APP", "1");
	set_env(env, "TULLE_DRAIN", p->drain);
	set_env(env, "TULLE_TERMINATION_GRACE", p->grace);
	if (json_object_size(p->probes) > 0) {
		probes = json_dumps(p->probes, JSON_COMPACT | JSON_ENSURE_ASCII);
		set_env(env, "TULLE_PROBES", probes);
	}
	return env;
}

static json_t *
sidecar_mounts(const struct inject_options *o)
{
	json_t *mounts = json_array();

	for (const struct added_mount *m = added_mounts; m->volume != NULL; m++) {
		bool changes = strcmp(m->volume, "tulle-run") == 0 || strcmp(m->volume, "tulle-state") == 0;

		if (strcmp(m->volume, o->socket ? "tulle-token" : "tulle-node") != 0)
			(void)json_array_append_new(mounts, mount(m->volume, !changes));
	}
	return mounts;
}

static json_t *
ready_probe(int period, int failures)
{
	return json_pack("{s:{s:s, s:i}, s:i, s:i, s:i}", "httpGet", "path", "/healthz/ready", "port", PROBES_PORT, "periodSeconds",
	    period, "timeoutSeconds", 3, "failureThreshold", failures);
}

json_t *
added_sidecar(const struct inject_options *o, const struct added_pod *p)
{
	json_t *c = container(o, ADDED_SIDECAR);

	(void)json_object_set_new(c, "command", json_pack("[s]", "/usr/sbin/tulle-sidecar"));
	if (!o->classic)
		(void)json_object_set_new(c, "restartPolicy", json_string("Always"));
	(void)json_object_set_new(c, "env", sidecar_env(o, p));
	(void)json_object_set_new(c, "ports", json_pack("[{s:s, s:i, s:s}]", "name", "tulle-metrics", "containerPort", 9464, "protocol", "TCP"));
	if (!o->classic)
		(void)json_object_set_new(c, "startupProbe", ready_probe(1, 120));
	(void)json_object_set_new(c, "readinessProbe", ready_probe(5, 3));
	if (o->classic) /* kubelet starts the next container when this one's postStart has ended */
		(void)json_object_set_new(c, "lifecycle",
		    json_pack("{s:{s:{s:[ss]}}}", "postStart", "exec", "command", "/usr/sbin/tulle-sidecar", "--wait"));
	(void)json_object_set_new(c, "resources", resources(o));
	(void)json_object_set_new(c, "securityContext", security(false));
	(void)json_object_set_new(c, "volumeMounts", sidecar_mounts(o));
	return c;
}

json_t *
added_volumes(const struct inject_options *o)
{
	json_t *v = json_array();

	(void)json_array_append_new(v, json_pack("{s:s, s:{s:s}}", "name", "tulle-config", "configMap", "name", o->config_map));
	(void)json_array_append_new(v,
	    json_pack("{s:s, s:{s:s, s:b}}", "name", "tulle-mesh", "configMap", "name", o->mesh_config_map, "optional", 1));
	(void)json_array_append_new(v, json_pack("{s:s, s:{s:s}}", "name", "tulle-run", "emptyDir", "medium", "Memory"));
	(void)json_array_append_new(v, json_pack("{s:s, s:{s:s}}", "name", "tulle-state", "emptyDir", "medium", "Memory"));
	if (!o->socket)
		(void)json_array_append_new(v,
		    json_pack("{s:s, s:{s:[{s:{s:s, s:i, s:s}}]}}", "name", "tulle-token", "projected", "sources",
			"serviceAccountToken", "audience", "tulle", "expirationSeconds", TOKEN_LIFE, "path", "token"));
	else if (o->socket_volume[0] == '/')
		(void)json_array_append_new(v,
		    json_pack("{s:s, s:{s:s, s:s}}", "name", "tulle-node", "hostPath", "path", o->socket_volume, "type", "Directory"));
	else
		(void)json_array_append_new(v,
		    json_pack("{s:s, s:{s:s, s:b}}", "name", "tulle-node", "csi", "driver", o->socket_volume, "readOnly", 1));
	return v;
}
