/* The cluster as its operator writes it: what is understood, what is refused with which sentence,
 * and what follows from it: the same id and the same first configuration on every server. */
#include "server/cluster.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "raft/configuration.h"
#include "server/config.h"
#include "tests/unit/cmocka_all.h"

static const char THREE[] = "1=10.0.0.1:7421,2=[::1]:7421,3=localhost:7421";

static struct cluster read_text(const char *text)
{
    struct cluster c;
    char sentence[CONFIG_SENTENCE_BYTES];
    if (cluster_parse(text, &c, sentence) != HF_OK) fail_msg("%s: %s", text, sentence);
    return c;
}

/* Members are kept by id, in whatever order they were written, and found by it. */
static void test_members_are_sorted_and_found_by_id(void **state)
{
    (void)state;
    struct cluster c = read_text("30=127.0.0.1:3,1=127.0.0.1:1,22=127.0.0.1:2");
    assert_int_equal(c.count, 3);
    assert_int_equal(c.members[0].id, 1);
    assert_int_equal(c.members[1].id, 22);
    assert_int_equal(c.members[2].id, 30);
    assert_string_equal(cluster_find(&c, 22)->address, "127.0.0.1:2");
    assert_null(cluster_find(&c, 2));
    assert_null(cluster_find(&c, 0));
}

/* One server may be a cluster, and seven; each kind of address is understood. */
static void test_one_to_seven_members_are_read(void **state)
{
    (void)state;
    char text[CLUSTER_TEXT_BYTES] = "";
    assert_int_equal(read_text("1=127.0.0.1:1").count, 1);
    assert_int_equal(read_text(THREE).count, 3);
    for (int i = 1; i <= CLUSTER_MEMBERS_MAX; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%d=127.0.0.1:%d", i > 1 ? "," : "", i, i);
        assert_int_equal(read_text(text).count, i);
    }
}

/* What is wrong is named in the sentence. */
static void test_wrong_texts_are_refused_with_a_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *part;
    } cases[] = {
        {"", "\"\" is not ID=HOST:PORT"},
        {"1", "\"1\""},
        {"1=", "\"1=\""},
        {"=127.0.0.1:1", "\"=127.0.0.1:1\""},
        {"0=127.0.0.1:1", "\"0=127.0.0.1:1\""},
        {"-1=127.0.0.1:1", "\"-1=127.0.0.1:1\""},
        {"1=127.0.0.1:0", "\"1=127.0.0.1:0\""},
        {"1=127.0.0.1:65536", "\"1=127.0.0.1:65536\""},
        {"1=127.0.0.1", "\"1=127.0.0.1\""},
        {"1=a.host:1", "\"1=a.host:1\""},
        {"1=127.0.0.1:1,", "\"\" is not"},
        {",1=127.0.0.1:1", "\"\" is not"},
        {"1=127.0.0.1:1, 2=127.0.0.1:2", "\" 2=127.0.0.1:2\""},
        {"1000000000000000000=127.0.0.1:1", "is not ID=HOST:PORT"},
        {"1=127.0.0.1:1,01=127.0.0.1:2", "names server 1 twice"},
        {"1=127.0.0.1:1,2=127.0.0.1:1", "gives 127.0.0.1:1 to two servers"},
        {"1=127.0.0.1:1,2=localhost:01", "gives 127.0.0.1:1 to two servers"},
        {"1=[::1]:1,2=[0:0:0:0:0:0:0:1]:1", "gives [::1]:1 to two servers"},
        {"1=[::1]:1,2=[::1]:2,3=[::1]:3,4=[::1]:4,5=[::1]:5,6=[::1]:6,7=[::1]:7,8=[::1]:8",
         "more than 7"},
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(cases); i++) {
        struct cluster c;
        char sentence[CONFIG_SENTENCE_BYTES];
        assert_int_equal(cluster_parse(cases[i].text, &c, sentence), HF_EINVAL);
        if (strstr(sentence, cases[i].part) == NULL) fail_msg("%s: %s", cases[i].text, sentence);
    }
}

/* An address that does not fit is refused before it is copied; a long text makes a short sentence.
 */
static void test_overlong_addresses_are_refused(void **state)
{
    (void)state;
    char text[CLUSTER_TEXT_BYTES], sentence[CONFIG_SENTENCE_BYTES];
    struct cluster c;
    memset(text, '1', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    text[1] = '=';
    assert_int_equal(cluster_parse(text, &c, sentence), HF_EINVAL);
    assert_true(strlen(sentence) < 250);
}

static void id_of(const char *text, const char *name, uint8_t *id)
{
    struct cluster c = read_text(text);
    cluster_id(&c, name, id);
}

/* The id follows from members and name, not from how they were written; each change of either
 * changes it. */
static void test_id_follows_from_members_and_name(void **state)
{
    (void)state;
    uint8_t id[16], other[16];
    id_of("1=127.0.0.1:1,2=127.0.0.1:2", "", id);
    id_of("2=127.0.0.1:2,01=127.0.0.1:1", "", other);
    assert_memory_equal(id, other, sizeof id);
    id_of("1=127.0.0.1:1,2=127.0.0.1:2", "blue", other);
    assert_memory_not_equal(id, other, sizeof id);
    id_of("1=127.0.0.1:1,3=127.0.0.1:2", "", other);
    assert_memory_not_equal(id, other, sizeof id);
    id_of("1=127.0.0.1:1,2=127.0.0.1:3", "", other);
    assert_memory_not_equal(id, other, sizeof id);
    id_of("1=127.0.0.1:1", "", other);
    assert_memory_not_equal(id, other, sizeof id);
}

/* An address in another spelling is the same address. */
static void test_id_does_not_depend_on_spelling(void **state)
{
    (void)state;
    uint8_t id[16], other[16];
    id_of("1=127.0.0.1:1,2=[::1]:2", "", id);
    id_of("1=localhost:01,2=[0:0::1]:2", "", other);
    assert_memory_equal(id, other, sizeof id);
}

/* The id is written into every directory: another way of drawing it would lock all clusters out. */
static void test_id_stays_what_it_was(void **state)
{
    (void)state;
    uint8_t id[16];
    char text[2 * sizeof id + 1];
    id_of("1=127.0.0.1:7421,2=127.0.0.1:7422,3=127.0.0.1:7423", "prod", id);
    for (unsigned i = 0; i < sizeof id; i++) snprintf(text + 2UL * i, 3, "%02x", id[i]);
    assert_string_equal(text, "8d6c491dbf112cb7383cd4df4c073817");
}

/* The longest name and the longest addresses fit. */
static void test_id_of_the_longest_texts_is_made(void **state)
{
    (void)state;
    uint8_t id[16];
    char name[CLUSTER_NAME_BYTES];
    struct cluster c = {.count = CLUSTER_MEMBERS_MAX};
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (uint32_t i = 0; i < c.count; i++) {
        c.members[i].id = (uint64_t)INT64_MAX - i;
        memset(c.members[i].address, 'a', ADDRESS_TEXT_BYTES - 1);
    }
    cluster_id(&c, name, id);
}

/* The first configuration: every member a voter, byte for byte the same however it was written. */
static void test_first_configuration_has_every_member_as_a_voter(void **state)
{
    (void)state;
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    struct cluster c = read_text(THREE), turned = read_text("3=localhost:7421,1=10.0.0.1:7421,"
                                                            "2=[::1]:7421");
    struct buffer bytes, again;
    buffer_init(&bytes, 4096);
    buffer_init(&again, 4096);
    assert_int_equal(cluster_configuration(&c, &bytes), HF_OK);
    assert_int_equal(cluster_configuration(&turned, &again), HF_OK);
    assert_true(slice_equal(buffer_slice(&bytes), buffer_slice(&again)));
    assert_int_equal(configuration_decode(buffer_slice(&bytes), servers), 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(servers[i].id, i + 1);
        assert_int_equal(servers[i].role, SERVER_VOTER);
        assert_string_equal(servers[i].address, c.members[i].address);
    }
    buffer_close(&bytes);
    buffer_close(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_are_sorted_and_found_by_id),
        cmocka_unit_test(test_one_to_seven_members_are_read),
        cmocka_unit_test(test_wrong_texts_are_refused_with_a_sentence),
        cmocka_unit_test(test_overlong_addresses_are_refused),
        cmocka_unit_test(test_id_follows_from_members_and_name),
        cmocka_unit_test(test_id_does_not_depend_on_spelling),
        cmocka_unit_test(test_id_stays_what_it_was),
        cmocka_unit_test(test_id_of_the_longest_texts_is_made),
        cmocka_unit_test(test_first_configuration_has_every_member_as_a_voter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
