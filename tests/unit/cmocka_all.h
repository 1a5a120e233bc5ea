/* cmocka wants these headers before its own. TEST=PATTERN in the environment runs only the test
 * functions of that name (* and ? as in a shell). */
#ifndef TESTS_CMOCKA_ALL_H
#define TESTS_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void choose_tests(void)
{
    const char *pattern = getenv("TEST");
    if (pattern != NULL) cmocka_set_test_filter(pattern);
}

#endif
