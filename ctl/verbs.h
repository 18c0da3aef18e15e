/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs.h - the functions behind the verbs; argv[0] is "tulle VERB", the result the exit status. */
#ifndef TULLE_CTL_VERBS_H
#define TULLE_CTL_VERBS_H

#define VERB(name, what) int name##_main(int argc, char **argv);
#include "verbs.def"
#undef VERB

#endif
