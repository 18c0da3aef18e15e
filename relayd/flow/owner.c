/* SPDX-License-Identifier: GPL-3.0-or-later */
/* As whom does the application of an outbound flow speak?  Asked of the kernel, answered by identities.yaml. */
#include <errno.h>

#include "base/log.h"
#include "decide/owner.h"
#include "flow/flow.h"

static void
log_unknown(struct flow *f, const char *why)
{
	char peer[ADDR_TEXT], original[ADDR_TEXT];

	if (!flow_may_log(f->flows))
		return;
	log_warn("outbound connection failed", LF_STR("reason", event_detail_name(EVENT_DETAIL_OWNER_UNKNOWN)),
	    LF_STR("why", why), LF_STR("peer", addr_format(&f->event.peer, peer)),
	    LF_STR("destination", addr_format(&f->event.original, original)));
}

/* What the kernel knows of the socket at the application's end.  Its addresses there: its own, and where it meant to go. */
static enum tulle_err
ask_kernel(struct flow *f, struct diag_owner *ret)
{
	struct flows *fs = f->flows;
	enum tulle_err e = fs->diag == NULL ? diag_open(&fs->diag) : TULLE_OK;

	if (e == TULLE_OK)
		e = diag_find(fs->diag, &f->event.peer, &f->event.original, ret);
	return e;
}

enum tulle_err
flow_find_owner(struct flow *f)
{
	const struct identities *ids = f->dial->snapshot->identities;
	struct diag_owner found = { 0 };
	struct owner owner = { .unit = "" };
	enum tulle_err e;

	if (ids == NULL || ids->n == 0)
		return TULLE_OK;
	e = ask_kernel(f, &found);
	if (e != TULLE_OK) {
		log_unknown(f, e == TULLE_ENOENT ? "the application has closed it already" :
		                e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
		return TULLE_EDENIED;
	}
	owner.uid_known = found.uid_known;
	owner.uid = found.uid;
	if (owner_choose(ids, &owner, &f->dial->entry) != OWNER_UNDECIDED)
		return TULLE_OK;
	log_unknown(f, "the application has closed it already");
	return TULLE_EDENIED;
}
