/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "issue/renew.h"

#include <stddef.h>

#define RETRY_FLOOR 100

int64_t
renew_at(int64_t issued, int64_t end, uint32_t draw)
{
	int64_t life = end - issued;
	int64_t thousandths = 450 + draw % 101; /* 0.45 to 0.55 */

	/* Divide first where it is long: a life may be years of milliseconds, and that times a thousand still fits. */
	return issued + life * thousandths / 1000;
}

int64_t
renew_retry(unsigned int failures, int64_t life, int64_t left, uint32_t draw)
{
	unsigned int doublings = failures > 0 ? failures - 1 : 0;
	int64_t most = doublings >= 6 ? RENEW_RETRY_MAX : (int64_t)RENEW_RETRY_MIN << doublings;

	if (most > RENEW_RETRY_MAX)
		most = RENEW_RETRY_MAX;
	if (life > 0 && most > (left > 0 ? left : life) / 20)
		most = (left > 0 ? left : life) / 20;
	if (most <= RETRY_FLOOR)
		return RETRY_FLOOR;
	return RETRY_FLOOR + draw % (uint32_t)(most - RETRY_FLOOR + 1);
}

bool
renew_worth_saying(unsigned int failures)
{
	return (failures & (failures - 1)) == 0;
}

/* Percent of the life at which each alarm begins. */
static const int percents[] = { [RENEW_33] = 33, [RENEW_20] = 20, [RENEW_10] = 10, [RENEW_5] = 5, [RENEW_EXPIRED] = 0 };

static int64_t
alarm_start(int64_t issued, int64_t end, enum renew_alarm a)
{
	return end - (end - issued) * percents[a] / 100;
}

enum renew_alarm
renew_alarm(int64_t issued, int64_t end, int64_t now)
{
	enum renew_alarm a = RENEW_EXPIRED;

	while (a > RENEW_FINE && now < alarm_start(issued, end, a))
		a--;
	return a;
}

int64_t
renew_alarm_next(int64_t issued, int64_t end, int64_t now)
{
	enum renew_alarm a = renew_alarm(issued, end, now);

	return a == RENEW_EXPIRED ? INT64_MAX : alarm_start(issued, end, a + 1);
}

const char *
renew_alarm_text(enum renew_alarm a)
{
	static const char *const texts[] = { [RENEW_FINE] = NULL, [RENEW_33] = "a third of its life is left",
		[RENEW_20] = "a fifth of its life is left", [RENEW_10] = "a tenth of its life is left",
		[RENEW_5] = "a twentieth of its life is left", [RENEW_EXPIRED] = "it has expired" };

	return texts[a];
}
