/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define HOUR_MS UINT64_C(3600000)
#define DRAIN_MS 5000  /* what other meshes' sidecars wait, too */
#define GRACE_MS 30000 /* Kubernetes' terminationGracePeriodSeconds */
#define GRACE_MIN_MS 5000

static enum tulle_err
read_switch(bool *ret, const char *name, const char *value, char why[SETTINGS_WHY])
{
	if (value == NULL || strcmp(value, "0") == 0 || *value == '\0') {
		*ret = false;
		return TULLE_OK;
	}
	if (strcmp(value, "1") != 0) {
		(void)snprintf(why, SETTINGS_WHY, "%s must be 1 or 0", name);
		return TULLE_EINVAL;
	}
	*ret = true;
	return TULLE_OK;
}

static enum tulle_err
read_duration(uint64_t *ret, const char *name, const char *value, uint64_t min_ms, char why[SETTINGS_WHY])
{
	uint64_t ms;

	if (value == NULL || *value == '\0')
		return TULLE_OK;
	if (text_duration(value, &ms) != TULLE_OK || ms < min_ms || ms > HOUR_MS) {
		(void)snprintf(why, SETTINGS_WHY, "%s must be a duration such as \"20s\" or \"1m30s\", from %" PRIu64 "s to 1h", name,
		    min_ms / 1000);
		return TULLE_EINVAL;
	}
	*ret = ms;
	return TULLE_OK;
}

enum tulle_err
settings_read(struct settings *ret, settings_source *get, void *arg, char why[SETTINGS_WHY])
{
	struct settings s = { .drain_ms = DRAIN_MS, .grace_ms = GRACE_MS, .probes = get(arg, "TULLE_PROBES") };
	enum tulle_err e;

	e = read_switch(&s.native, "TULLE_NATIVE", get(arg, "TULLE_NATIVE"), why);
	if (e == TULLE_OK)
		e = read_switch(&s.end_with_app, "TULLE_END_WITH_APP", get(arg, "TULLE_END_WITH_APP"), why);
	if (e == TULLE_OK)
		e = read_duration(&s.drain_ms, "TULLE_DRAIN", get(arg, "TULLE_DRAIN"), 0, why);
	if (e == TULLE_OK)
		e = read_duration(&s.grace_ms, "TULLE_TERMINATION_GRACE", get(arg, "TULLE_TERMINATION_GRACE"), GRACE_MIN_MS, why);
	if (e == TULLE_OK && s.native && s.end_with_app) {
		(void)snprintf(why, SETTINGS_WHY, "TULLE_NATIVE and TULLE_END_WITH_APP exclude each other: kubelet ends a native sidecar");
		e = TULLE_EINVAL;
	}
	if (e == TULLE_OK && !s.native && s.drain_ms + GRACE_MIN_MS > s.grace_ms) {
		(void)snprintf(why, SETTINGS_WHY, "TULLE_DRAIN of %" PRIu64 "s needs TULLE_TERMINATION_GRACE of %" PRIu64
		    "s or more, for the relay and what follows it; it is %" PRIu64 "s", s.drain_ms / 1000,
		    (s.drain_ms + GRACE_MIN_MS + 999) / 1000, s.grace_ms / 1000);
		e = TULLE_EINVAL;
	}
	if (e == TULLE_OK)
		*ret = s;
	return e;
}
