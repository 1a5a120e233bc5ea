/* What the tests of the core against a scripted server share: a script per test, and a session that
 * is opened by its first acquire. */
#ifndef TESTS_UNIT_CLIENT_SCRIPT_FIXTURE_H
#define TESTS_UNIT_CLIENT_SCRIPT_FIXTURE_H

#include "base/status.h"
#include "tests/unit/client/scripted.h"
#include "tests/unit/cmocka_all.h"

static struct script s;

static inline int setup(void **state)
{
    (void)state;
    script_open(&s, "a:1", 10000);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    script_close(&s);
    return 0;
}

static inline struct request *first_acquire(struct call **call, enum call_fate fate)
{
    *call = script_acquire(&s, 0, 0, fate);
    script_open_session(&s);
    return script_expect(&s, OP_CODE_ACQUIRE);
}

#endif
