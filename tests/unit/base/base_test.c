/* Statuses, slices, buffers, arenas, lists, hashes and random numbers, each by its documented
 * promise; the published test vectors where there are some. */
#include "base/arena.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/prng.h"
#include "base/slice.h"
#include "base/status.h"
#include "tests/unit/cmocka_all.h"

/* RFC 3720, appendix B.4: 32 zero bytes and 32 bytes of ones. */
static void test_crc32c_gives_the_published_values(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
}

/* A check over two pieces equals the check over the whole. */
static void test_crc32c_continues(void **state)
{
    (void)state;
    const char text[] = "holdfast, a lock server";
    for (size_t cut = 0; cut < sizeof text; cut++) {
        uint32_t crc = crc32c(crc32c(0, text, cut), text + cut, sizeof text - cut);
        assert_int_equal(crc, crc32c(0, text, sizeof text));
    }
}

/* FIPS 180-4's example "abc". */
static void test_sha256_gives_the_published_value(void **state)
{
    (void)state;
    uint8_t out[SHA256_BYTES];
    sha256("abc", 3, out);
    assert_int_equal(get_u64(out), 0xba7816bf8f01cfeaU);
}

/* RFC 4231, test cases 2 and 6: a short key, and one that is longer than a block. */
static void test_hmac_sha256_gives_the_published_values(void **state)
{
    (void)state;
    uint8_t key[131];
    uint8_t out[SHA256_BYTES];
    memset(key, 0xaa, sizeof key);
    hmac_sha256(slice_of("Jefe"), slice_of("what do ya want for nothing?"), out);
    assert_int_equal(get_u64(out), 0x5bdcc146bf60754eU);
    assert_int_equal(get_u64(out + 24), 0x9dec58b964ec3843U);
    hmac_sha256(slice_make(key, sizeof key),
                slice_of("Test Using Larger Than Block-Size Key - Hash Key First"), out);
    assert_int_equal(get_u64(out), 0x60e431591ee0b67fU);
    wipe(key, sizeof key);
    assert_int_equal(key[0] + key[130], 0);
}

/* The bound holds, and a refused append leaves the buffer as it was. */
static void test_buffer_refuses_to_pass_its_maximum(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1000);
    char bytes[600] = {0};
    assert_int_equal(buffer_append(&b, bytes, sizeof bytes), HF_OK);
    assert_int_equal(buffer_append(&b, bytes, sizeof bytes), HF_ETOOLARGE);
    assert_int_equal(b.size, sizeof bytes);
    assert_int_equal(buffer_append(&b, bytes, 400), HF_OK);
    buffer_consume(&b, 1000);
    assert_int_equal(b.size, 0);
    buffer_close(&b);
}

/* Every status has a name and a sentence; an unknown number is a fault of unknown outcome. */
static void test_statuses_are_complete(void **state)
{
    (void)state;
    static const int all[] = {
#define HF_STATUS(code, number, kind, reply_class, name, text) code,
#include "base/status.def"
#undef HF_STATUS
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(all); i++) {
        assert_string_not_equal(status_name(all[i]), "?");
        assert_true(status_reply_class(all[i]) <= 2);
    }
    assert_string_equal(status_name(12345), "?");
    assert_int_equal(status_kind(12345), STATUS_FAULT);
    assert_int_equal(status_reply_class(12345), 2);
}

/* The same seed gives the same numbers, another seed others, and a bound holds. */
static void test_prng_repeats(void **state)
{
    (void)state;
    struct prng a, b, c;
    prng_seed(&a, 7);
    prng_seed(&b, 7);
    prng_seed(&c, 8);
    int differ = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t x = prng_next(&a);
        assert_int_equal(x, prng_next(&b));
        differ += x != prng_next(&c);
        assert_true(prng_below(&a, 3) < 3);
        (void)prng_below(&b, 3);
    }
    assert_true(differ > 90);
}

static void test_arena_is_bounded_and_aligned(void **state)
{
    (void)state;
    struct arena a;
    assert_int_equal(arena_init(&a, 64), HF_OK);
    void *p = arena_take(&a, 1);
    void *q = arena_take(&a, 48);
    assert_non_null(p);
    assert_non_null(q);
    assert_int_equal((uintptr_t)q % 16, 0);
    assert_null(arena_take(&a, 1));
    arena_reset(&a);
    assert_non_null(arena_take(&a, 64));
    assert_null(arena_take(&a, SIZE_MAX));
    arena_close(&a);
}

static void test_list_removal_twice_is_harmless(void **state)
{
    (void)state;
    struct list head, x, y;
    list_init(&head);
    list_push_back(&head, &x);
    list_push_front(&head, &y);
    assert_ptr_equal(head.next, &y);
    list_remove(&y);
    list_remove(&y);
    assert_ptr_equal(head.next, &x);
    list_remove(&x);
    assert_true(list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c_gives_the_published_values),
        cmocka_unit_test(test_crc32c_continues),
        cmocka_unit_test(test_sha256_gives_the_published_value),
        cmocka_unit_test(test_hmac_sha256_gives_the_published_values),
        cmocka_unit_test(test_buffer_refuses_to_pass_its_maximum),
        cmocka_unit_test(test_statuses_are_complete),
        cmocka_unit_test(test_prng_repeats),
        cmocka_unit_test(test_arena_is_bounded_and_aligned),
        cmocka_unit_test(test_list_removal_twice_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
