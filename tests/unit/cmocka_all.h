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

/* How many seeds to run of `count`: a quarter where a sanitizer makes each ten times slower. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SEEDS(count) ((count) / 4)
#else
#define TEST_SEEDS(count) (count)
#endif

__attribute__((constructor)) static void choose_tests(void)
{
    const char *pattern = getenv("TEST");
    if (pattern != NULL) cmocka_set_test_filter(pattern);
}

#endif
