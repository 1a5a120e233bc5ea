/* The account of a run's payments: what is right is right, and each thing that can be wrong with a
 * payment is found, with its key. */
#include "jepsen/run/payments.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "jepsen/run/guard.h"

enum { BY_ACCOUNT = 13, BY_PROVIDER = 15 }; /* pay-1-1 and pay-1-3 */

static struct payments *payments;
static struct payments_account sums;
static char folder[] = "/tmp/payments_test.XXXXXX", before[1024];
static char sentence[PAYMENTS_SENTENCE_BYTES]; /* the last one */

static void keep(void *data, const char *text)
{
    (void)data;
    snprintf(sentence, sizeof sentence, "%s", text);
}

/* How many claims fail now. */
static uint64_t sum_up(void)
{
    sentence[0] = '\0';
    for (uint64_t i = 0; i < payments->room; i++) payments->list[i].effects = 0;
    payments_sum_up(payments, folder, keep, NULL, &sums);
    return sums.wrong;
}

static const char *account_of(uint64_t number, char out[PAYMENTS_KEY_BYTES])
{
    return payments_account_name((unsigned)(number % PAYMENTS_ACCOUNTS), out);
}

static void pay(uint64_t number, uint64_t token, uint64_t value)
{
    char key[PAYMENTS_KEY_BYTES], account[PAYMENTS_KEY_BYTES];
    (void)payments_key(number, key);
    if (payments_is_marked(number))
        assert_true(guard_provider_pay(payments_provider(), token, value, key));
    else
        assert_true(guard_pay(account_of(number, account), token, value, key));
}

static void complete(uint64_t number, uint32_t answer)
{
    payments_mark(payments, number, PAYMENT_COMPLETED);
    payments->list[number].answer = answer;
}

/* Two payments, one of each way, begun, paid and completed. */
static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/payments_test.XXXXXX");
    if (getcwd(before, sizeof before) == NULL || mkdtemp(folder) == NULL) return -1;
    payments = payments_open(1);
    if (payments == NULL || chdir(folder) != 0) return -1;
    payments_mark(payments, BY_ACCOUNT, PAYMENT_BEGUN);
    payments_mark(payments, BY_PROVIDER, PAYMENT_BEGUN);
    pay(BY_ACCOUNT, 5, 11);
    pay(BY_PROVIDER, 6, 12);
    complete(BY_ACCOUNT, 11);
    complete(BY_PROVIDER, 12);
    return 0;
}

static int tear_down(void **state)
{
    char name[PAYMENTS_KEY_BYTES], ledger[PAYMENTS_KEY_BYTES + 8];
    (void)state;
    payments_close(payments);
    for (unsigned i = 0; i < PAYMENTS_ACCOUNTS; i++) {
        snprintf(ledger, sizeof ledger, "%s.ledger", payments_account_name(i, name));
        (void)unlink(name);
        (void)unlink(ledger);
    }
    (void)unlink(payments_provider());
    return chdir(before) == 0 ? rmdir(folder) : -1;
}

static void test_keys_spell_numbers(void **state)
{
    (void)state;
    char key[PAYMENTS_KEY_BYTES];
    uint64_t number = 0;
    assert_string_equal(payments_key(BY_ACCOUNT, key), "pay-1-1");
    assert_true(payments_number(key, &number));
    assert_int_equal(number, BY_ACCOUNT);
    assert_false(payments_is_marked(BY_ACCOUNT));
    assert_true(payments_is_marked(BY_PROVIDER));
    assert_false(payments_number("pay-1", &number));
    assert_false(payments_number("pay-1-12", &number));
    assert_false(payments_number("account-1", &number));
}

/* Nothing is wrong with them, and they are counted. */
static void test_right_payments_are_counted(void **state)
{
    (void)state;
    assert_int_equal(sum_up(), 0);
    assert_int_equal(sums.begun, 2);
    assert_int_equal(sums.completed, 2);
    assert_int_equal(sums.effects, 2);
    assert_int_equal(sums.cut + sums.unsure + sums.doubles, 0);
}

/* A second effect, on either way, whoever wrote it. */
static void test_double_effects_are_found(void **state)
{
    (void)state;
    pay(BY_PROVIDER, 9, 13);
    assert_int_equal(sum_up(), 1);
    assert_string_equal(sentence, "payment pay-1-3 has 2 effects, not one");
    pay(BY_ACCOUNT, 9, 14);
    assert_int_equal(sum_up(), 2);
    assert_int_equal(sums.doubles, 2);
}

static void test_what_is_missing_is_found(void **state)
{
    (void)state;
    payments_mark(payments, 16, PAYMENT_BEGUN);
    assert_int_equal(sum_up(), 1);
    assert_string_equal(sentence, "payment pay-1-4 was begun, and nobody completed it");
    complete(16, 15);
    assert_int_equal(sum_up(), 1);
    assert_string_equal(sentence, "payment pay-1-4 is completed, but has no effect");
    pay(16, 7, 16);
    assert_int_equal(sum_up(), 1);
    assert_string_equal(sentence, "payment pay-1-4 is answered with 15, its effect is 16");
    pay(17, 7, 17);
    assert_int_equal(sum_up(), 2);
    assert_string_equal(sentence, "payment pay-1-5 has an effect, but nobody began it");
}

/* Of who dies with a payment to run it is cut, with a call under way unsure, else neither. */
static void test_deaths_are_counted_by_payment(void **state)
{
    (void)state;
    struct payment_caller *c = &payments->callers[3];
    payments_caller_died(payments, 3, true); /* it had nothing in its hands */
    atomic_store(&c->asks, BY_ACCOUNT + 1);
    payments_caller_died(payments, 3, false);
    assert_int_equal(sum_up(), 0);
    assert_int_equal(sums.unsure, 0);
    atomic_store(&c->asks, BY_ACCOUNT + 1);
    payments_caller_died(payments, 3, true);
    for (unsigned twice = 0; twice < 2; twice++) {
        atomic_store(&c->asks, BY_PROVIDER + 1);
        atomic_store(&c->runs, 1);
        payments_caller_died(payments, 3, false);
    }
    assert_int_equal(sum_up(), 0);
    assert_int_equal(sums.cut, 1);
    assert_int_equal(sums.unsure, 2);
    assert_int_equal(sums.resolved_later, 2);
}

/* A torn or foreign ledger is no ledger. */
static void test_broken_ledger_is_a_failure(void **state)
{
    (void)state;
    FILE *f = fopen(payments_provider(), "a");
    assert_non_null(f);
    fputs("pay-1-6", f);
    fclose(f);
    assert_true(sum_up() > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_keys_spell_numbers),
        TEST(test_right_payments_are_counted),
        TEST(test_double_effects_are_found),
        TEST(test_what_is_missing_is_found),
        TEST(test_deaths_are_counted_by_payment),
        TEST(test_broken_ledger_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
