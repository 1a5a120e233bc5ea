/* Secrets and what is derived under them: the documented bytes, one key a step, and nothing without
 * the secret. */
#include "client/secrets.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "tests/unit/cmocka_all.h"

static const hf_secret two[] = {{"s1", "0123456789abcdef", 16}, {"s2", "fedcba9876543210", 16}};

static void derive(const struct secrets *secrets, const char *id, const char *key, const char *step,
                   char out[HF_DERIVED_BYTES])
{
    assert_int_equal(secrets_derive(secrets, slice_of(id), slice_of(key), slice_of(step), out),
                     HF_OK);
    assert_int_equal(strlen(out), HF_DERIVED_BYTES - 1);
}

/* The documented bytes, as another implementation (Python's hmac) makes them. */
static void test_a_derived_key_is_the_documented_hmac(void **state)
{
    (void)state;
    struct secrets secrets;
    char out[HF_DERIVED_BYTES];
    assert_int_equal(secrets_copy(&secrets, two, 2), HF_OK);
    derive(&secrets, "s1", "pay/1", "charge", out);
    assert_string_equal(out, "52353a16b38ffb497ce16686570f4769a73c85139eeaa48c296aaba4eb9d4e62");
    secrets_close(&secrets);
}

/* Key, step and secret each make another one, wherever the border between key and step is. */
static void test_nothing_else_has_the_same_derived_key(void **state)
{
    (void)state;
    static const char *const rows[][3] = {{"s1", "pay/1", "charge"},  {"s2", "pay/1", "charge"},
                                          {"s1", "pay/1c", "harge"},  {"s1", "pay/", "1charge"},
                                          {"s1", "pay/1", "charge2"}, {"s1", "charge", "pay/1"}};
    struct secrets secrets;
    char out[HF_ARRAY_COUNT(rows)][HF_DERIVED_BYTES];
    assert_int_equal(secrets_copy(&secrets, two, 2), HF_OK);
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        derive(&secrets, rows[i][0], rows[i][1], rows[i][2], out[i]);
        for (size_t k = 0; k < i; k++) assert_string_not_equal(out[i], out[k]);
    }
    secrets_close(&secrets);
}

/* Without the secret there is no key, and nothing is written. */
static void test_without_the_secret_there_is_no_key(void **state)
{
    (void)state;
    static const char *const ids[] = {"", "s", "s3", "s11"};
    struct secrets secrets;
    char out[HF_DERIVED_BYTES] = "as before";
    assert_int_equal(secrets_copy(&secrets, two, 2), HF_OK);
    for (size_t i = 0; i < HF_ARRAY_COUNT(ids); i++) {
        assert_int_equal(
            secrets_derive(&secrets, slice_of(ids[i]), slice_of("k"), slice_of("s"), out),
            HF_ENOKEY);
    }
    secrets_close(&secrets);
    assert_int_equal(secrets_derive(&secrets, slice_of("s1"), slice_of("k"), slice_of("s"), out),
                     HF_ENOKEY);
    assert_string_equal(out, "as before");
}

/* Ids and keys keep their ranges, no id stands twice, and there are not too many. */
static void test_secrets_out_of_range_are_refused(void **state)
{
    (void)state;
    static const uint8_t key[SECRET_BYTES_MAX + 1];
    char id[SECRET_ID_BYTES_MAX + 2];
    hf_secret many[SECRETS_MAX + 1];
    char ids[SECRETS_MAX + 1][4];
    struct secrets secrets;
    memset(id, 'i', sizeof id);
    id[SECRET_ID_BYTES_MAX + 1] = '\0';
    const hf_secret wrong[] = {{NULL, key, 16},
                               {"", key, 16},
                               {id, key, 16},
                               {"\xff", key, 16},
                               {"s", NULL, 16},
                               {"s", key, SECRET_BYTES_MIN - 1},
                               {"s", key, SECRET_BYTES_MAX + 1}};
    for (size_t i = 0; i < HF_ARRAY_COUNT(wrong); i++) {
        assert_int_equal(secrets_copy(&secrets, &wrong[i], 1), HF_EINVAL);
    }
    const hf_secret right[] = {{id + 1, key, SECRET_BYTES_MIN}, {"s", key, SECRET_BYTES_MAX}};
    assert_int_equal(secrets_copy(&secrets, right, 2), HF_OK);
    assert_true(secrets_know(&secrets, slice_of("s")));
    const hf_secret twice[] = {two[0], two[0]};
    assert_int_equal(secrets_copy(&secrets, twice, 2), HF_EINVAL);
    assert_false(secrets_know(&secrets, slice_of("s1"))); /* nothing is kept of them */
    for (int i = 0; i <= SECRETS_MAX; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "%d", i);
        many[i] = (hf_secret){ids[i], key, 16};
    }
    assert_int_equal(secrets_copy(&secrets, many, SECRETS_MAX + 1), HF_EINVAL);
    assert_int_equal(secrets_copy(&secrets, many, SECRETS_MAX), HF_OK);
    assert_int_equal(secrets_copy(&secrets, NULL, 0), HF_OK);
    assert_int_equal(secrets_copy(&secrets, NULL, 1), HF_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_derived_key_is_the_documented_hmac),
        cmocka_unit_test(test_nothing_else_has_the_same_derived_key),
        cmocka_unit_test(test_without_the_secret_there_is_no_key),
        cmocka_unit_test(test_secrets_out_of_range_are_refused),
    };
    return cmocka_run_group_tests_name("secrets", tests, NULL, NULL);
}
