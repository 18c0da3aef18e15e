/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inject/options.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define HOUR_MS 3600000
#define GRACE_MIN_MS 5000

const struct inject_options inject_defaults = {
	.image = "tulle:" TULLE_VERSION,
	.config_map = "tulle",
	.mesh_config_map = "tulle-mesh",
	.socket_volume = "csi.spiffe.io",
	.cpu = "50m",
	.memory = "64Mi:256Mi",
	.version = TULLE_VERSION,
};

/* A name of an object: lower case, digits, "-" and ".". */
static bool
is_name(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n < 254 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == n && s[0] != '-' && s[0] != '.' &&
	    s[n - 1] != '-' && s[n - 1] != '.';
}

static bool
is_image(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n < 1024 &&
	    strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/:@") == n && s[0] != '-' && s[0] != ':';
}

/* <n> bytes: "50m", "0.5", "64Mi". */
static bool
is_quantity(const char *s, size_t n)
{
	static const char *const units[] = { "", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti" };
	size_t digits = strspn(s, "0123456789"), fraction = 0;

	if (digits < n && s[digits] == '.')
		fraction = 1 + strspn(s + digits + 1, "0123456789");
	if (digits == 0 || fraction == 1 || digits + fraction > n)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strlen(units[i]) == n - digits - fraction && strncmp(s + digits + fraction, units[i], strlen(units[i])) == 0)
			return true;
	return false;
}

static bool
is_request(const char *s)
{
	const char *colon = strchr(s, ':');

	if (colon == NULL)
		return is_quantity(s, strlen(s));
	return is_quantity(s, (size_t)(colon - s)) && is_quantity(colon + 1, strlen(colon + 1));
}

static bool
is_duration(const char *s, uint64_t least)
{
	uint64_t ms;

	return s == NULL || (text_duration(s, &ms) == TULLE_OK && ms >= least && ms <= HOUR_MS);
}

static bool
is_volume(const char *s)
{
	size_t n = strlen(s);

	if (s[0] != '/')
		return is_name(s);
	return n > 1 && n < 4096 && strstr(s, "..") == NULL &&
	    strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/") == n;
}

enum tulle_err
inject_options_check(const struct inject_options *o, char why[INJECT_WHY])
{
	const char *p = o->pull_policy;

	if (!is_image(o->image))
		(void)snprintf(why, INJECT_WHY, "--image '%.80s': a name such as registry.example/tulle:1.0 is needed", o->image);
	else if (p != NULL && strcmp(p, "Always") != 0 && strcmp(p, "IfNotPresent") != 0 && strcmp(p, "Never") != 0)
		(void)snprintf(why, INJECT_WHY, "--pull-policy '%.80s': Always, IfNotPresent or Never is needed", p);
	else if (!is_name(o->config_map))
		(void)snprintf(why, INJECT_WHY, "--config-map '%.80s': the name of a ConfigMap is needed", o->config_map);
	else if (!is_name(o->mesh_config_map))
		(void)snprintf(why, INJECT_WHY, "--mesh-config-map '%.80s': the name of a ConfigMap is needed", o->mesh_config_map);
	else if (!is_volume(o->socket_volume))
		(void)snprintf(why, INJECT_WHY, "--socket-volume '%.80s': a folder of the node (/run/...) or the name of a CSI driver is needed",
		    o->socket_volume);
	else if (!is_request(o->cpu))
		(void)snprintf(why, INJECT_WHY, "--cpu '%.80s': a request such as 50m, or request and limit, 50m:500m, is needed", o->cpu);
	else if (!is_request(o->memory))
		(void)snprintf(why, INJECT_WHY, "--memory '%.80s': a request such as 64Mi, or request and limit, 64Mi:256Mi, is needed",
		    o->memory);
	else if (!is_duration(o->drain, 0))
		(void)snprintf(why, INJECT_WHY, "--drain '%.80s': a duration from 0s to 1h is needed", o->drain);
	else if (!is_duration(o->grace, GRACE_MIN_MS))
		(void)snprintf(why, INJECT_WHY, "--termination-grace '%.80s': a duration from 5s to 1h is needed", o->grace);
	else
		return TULLE_OK;
	return TULLE_EINVAL;
}
