/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "look/look.h"

#include "base/paths.h"
#include "manifest/host.h"
#include "units.h"

/* What is configured for new connections that should have been captured and were not. */
static const char *
fate_of_escaped(void)
{
	struct host_config *c = NULL;
	struct problems problems;
	const char *fate = "pass by the mesh in plaintext (capture.failClosed is false)";

	problems_init(&problems);
	if (host_config_read(&c, paths_etc("tulle.yaml"), &problems) != TULLE_OK)
		fate = "pass by, or are reset by the guard of capture.failClosed (tulle.yaml cannot be read)";
	else if (c->capture.fail_closed)
		fate = "are reset while its guard stands (capture.failClosed is true)";
	(void)host_config_free(c);
	problems_free(&problems);
	return fate;
}

void
look_rules(struct report *r, const struct answers *a)
{
	switch (a->rules) {
	case -1:
		report_add(r, UNKNOWN, "rules", "not looked at: that needs root and tulle-nfrules");
		break;
	case 0:
		report_add(r, WELL, "rules", "as planned");
		break;
	case 3:
		report_add(r, BROKEN, "rules", "differ from the plan: tulle rules shows how, tulle-nfrules apply mends it; new connections "
		    "that they miss %s", fate_of_escaped());
		break;
	case 4:
		/* The unit also has the timer that puts back what others flush; once the relay failed for good, nobody starts it. */
		report_add(r, WARNING, "rules", "not in place, nothing is captured: %s",
		    units_there() ? "systemctl restart tulle-rules, once tulle-relayd runs" : "tulle-nfrules apply");
		break;
	case 5:
		report_add(r, BROKEN, "rules", "rules of another version or backend are left over: tulle rules says which");
		break;
	default:
		report_add(r, BROKEN, "rules", "tulle-nfrules check failed with %d: run tulle rules", a->rules);
		break;
	}
}
