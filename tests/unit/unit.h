/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * unit.h - what every unit test's main() looks like.
 *
 *   UNIT_MAIN("buf", UNIT_TEST(a_new_buffer_is_empty), UNIT_TEST(...))
 */
#ifndef TULLE_TESTS_UNIT_H
#define TULLE_TESTS_UNIT_H

#include <check.h>
#include <stdlib.h>

#define UNIT_MAIN(name, ...)                                                          \
	int main(void)                                                                \
	{                                                                             \
		const TTest *tests[] = { __VA_ARGS__ };                               \
		Suite *suite = suite_create(name);                                    \
		TCase *tc = tcase_create(name);                                       \
		SRunner *runner;                                                      \
		int failed;                                                           \
                                                                                      \
		tcase_set_timeout(tc, 60);                                            \
		for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)         \
			tcase_add_test(tc, tests[i]);                                 \
		suite_add_tcase(suite, tc);                                           \
		runner = srunner_create(suite);                                       \
		srunner_run_all(runner, CK_NORMAL);                                   \
		failed = srunner_ntests_failed(runner);                               \
		srunner_free(runner);                                                 \
		return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;                     \
	}

#endif
