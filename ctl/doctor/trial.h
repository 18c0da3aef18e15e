/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial.h - one connection as an application makes it, through the steering rules and the relay. */
#ifndef TULLE_CTL_DOCTOR_TRIAL_H
#define TULLE_CTL_DOCTOR_TRIAL_H

#include "base/addr.h"
#include "doctor/verdict.h"

/*
 * Connects to <to>, ends its own direction at once, sends nothing, and waits
 * some seconds for what becomes of it.  A connection that the relay broke off
 * is looked up among the failures that it reports.  <who> is for the text.
 */
void trial_run(struct verdict *ret, const char *who, const struct addr *to);

/*
 * Pure.  What the relay's word for a failure means and what to do; <identity>
 * and <policy> as it reports them, "" for none.
 */
void trial_explain(struct verdict *ret, const char *who, const char *reason, const char *upstream, const char *identity,
    const char *policy);

#endif
