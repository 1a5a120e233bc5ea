/* The settings of a cluster's server: each combination that cannot be meant is one sentence that
 * names the flag. The others are tried with a real holdfastd (tests/integration/server_test.c). */
#include "server/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "tests/unit/cmocka_all.h"

#define THREE "--cluster", "1=127.0.0.1:7421,2=127.0.0.1:7422,3=127.0.0.1:7423"

enum { ARGUMENTS_MAX = 24 };

struct attempt {
    struct config config;                 /* what was read */
    char sentence[CONFIG_SENTENCE_BYTES]; /* or why not */
    int rv;                               /* of config_read() */
};

static struct attempt try_arguments(const char *const *arguments)
{
    struct attempt a = {.sentence = ""};
    char *argv[ARGUMENTS_MAX] = {"holdfastd"};
    int argc = 1;
    for (; arguments[argc - 1] != NULL; argc++) argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
    a.rv = config_read(argc, argv, &a.config, a.sentence);
    return a;
}

#define TRY(...) try_arguments((const char *const[]){__VA_ARGS__, NULL})

static void assert_refused(struct attempt a, const char *words)
{
    assert_int_equal(a.rv, HF_EINVAL);
    if (strstr(a.sentence, words) == NULL) print_message("%s\n", a.sentence);
    assert_non_null(strstr(a.sentence, words));
}

static struct config assert_taken(struct attempt a)
{
    if (a.rv != HF_OK) print_message("%s\n", a.sentence);
    assert_int_equal(a.rv, HF_OK);
    return a.config;
}

/* ------------------------------------------------------------------ what is meant */

/* A member listens for the others where --cluster says, unless --peer says otherwise. */
static void test_peer_address_is_the_members_own(void **state)
{
    (void)state;
    struct config c = assert_taken(TRY("--data", "d", "--id", "2", THREE));
    assert_string_equal(c.peer, "127.0.0.1:7422");
    assert_int_equal(c.cluster.count, 3);
    assert_false(c.new_cluster);
    c = assert_taken(TRY("--data", "d", "--id", "2", THREE, "--peer", "127.0.0.1:9"));
    assert_string_equal(c.peer, "127.0.0.1:9");
}

/* A server alone has no peers, with or without an id. */
static void test_lone_server_needs_nothing(void **state)
{
    (void)state;
    struct config c = assert_taken(TRY("--data", "d"));
    assert_int_equal(c.cluster.count, 0);
    assert_int_equal(c.id, 0);
    assert_string_equal(c.peer, "");
    c = assert_taken(TRY("--data", "d", "--id", "9"));
    assert_int_equal(c.id, 9);
}

/* `init` takes the same settings. */
static void test_init_takes_the_cluster(void **state)
{
    (void)state;
    struct config c = assert_taken(TRY("init", "--data", "d", "--id", "3", THREE));
    assert_int_equal(c.command, CONFIG_INIT);
    assert_int_equal(c.cluster.count, 3);
    assert_refused(TRY("init", "--data", "d", THREE), "--cluster wants --id N");
}

/* Beyond loopback nothing is bound or dialled unless that was said; then it is. */
static void test_insecure_is_asked_for_beyond_loopback(void **state)
{
    (void)state;
    static const char far[] = "1=192.0.2.1:7421,2=192.0.2.2:7421";
    assert_refused(TRY("--data", "d", "--id", "1", "--cluster", far), "give --insecure");
    assert_refused(TRY("--data", "d", "--id", "1", THREE, "--peer", "0.0.0.0:7421"),
                   "give --insecure");
    assert_refused(TRY("--data", "d", "--client", "[::]:7420"), "give --insecure");
    assert_taken(
        TRY("--data", "d", "--id", "1", "--cluster", far, "--insecure", "--peer", "0.0.0.0:7421"));
    assert_taken(TRY("--data", "d", "--id", "1", "--cluster", "1=[::1]:1,2=[::1]:2"));
}

/* ------------------------------------------------------------------ what cannot be meant */

/* --cluster must say which of its servers this one is. */
static void test_cluster_needs_a_fitting_id(void **state)
{
    (void)state;
    assert_refused(TRY("--data", "d", THREE), "--cluster wants --id N");
    assert_refused(TRY("--data", "d", "--id", "4", THREE), "no server of --id 4");
    assert_refused(TRY("--data", "d", "--id", "0", THREE), "--id must be a whole number");
}

/* What belongs to a cluster goes with --cluster. */
static void test_cluster_flags_go_with_cluster(void **state)
{
    (void)state;
    assert_refused(TRY("--data", "d", "--peer", "127.0.0.1:1"), "--peer goes with --cluster");
    assert_refused(TRY("--data", "d", "--cluster-name", "a"), "--cluster-name goes with --cluster");
}

/* The others must be able to find this server, and its clients too. */
static void test_addresses_that_nobody_finds_are_refused(void **state)
{
    (void)state;
    assert_refused(TRY("--data", "d", "--id", "1", THREE, "--peer", "127.0.0.1:0"),
                   "the other servers must know the port");
    assert_refused(TRY("--data", "d", "--id", "1", THREE, "--peer", "nowhere"),
                   "--peer must be a numeric HOST:PORT");
    assert_refused(TRY("--data", "d", "--id", "1", "--insecure", "--cluster",
                       "1=0.0.0.0:7421,2=192.0.2.2:7421"),
                   "in --cluster, 0.0.0.0:7421 cannot be reached");
    assert_refused(TRY("--data", "d", "--id", "1", "--insecure", "--cluster", "1=[::]:1"),
                   "cannot be reached");
    assert_refused(TRY("--data", "d", "--id", "1", "--insecure", THREE, "--client", "0.0.0.0:7420"),
                   "--client 0.0.0.0:7420 cannot be reached");
    assert_taken(TRY("--data", "d", "--insecure", "--client", "0.0.0.0:7420")); /* alone it may */
}

/* The name is for people, and part of what the id follows from. */
static void test_cluster_name_is_short_printable_ascii(void **state)
{
    (void)state;
    char name[CLUSTER_NAME_BYTES + 1] = "";
    assert_refused(TRY("--data", "d", "--id", "1", THREE, "--cluster-name", "a\n1=127.0.0.1:1"),
                   "--cluster-name must be printable ASCII");
    assert_refused(TRY("--data", "d", "--id", "1", THREE, "--cluster-name", "\xc3\xa9"),
                   "--cluster-name must be printable ASCII");
    memset(name, 'n', CLUSTER_NAME_BYTES);
    assert_refused(TRY("--data", "d", "--id", "1", THREE, "--cluster-name", name),
                   "--cluster-name is too long");
    name[CLUSTER_NAME_BYTES - 1] = '\0';
    struct config c = assert_taken(TRY("--data", "d", "--id", "1", THREE, "--cluster-name", name));
    assert_string_equal(c.cluster_name, name);
}

/* A sentence about --cluster comes as it is. */
static void test_what_is_wrong_with_the_cluster_is_told(void **state)
{
    (void)state;
    assert_refused(TRY("--data", "d", "--id", "1", "--cluster", "one"), "\"one\" is not ID=");
    assert_refused(TRY("--data", "d", "--id", "1", "--cluster", ""), "--cluster must not be empty");
}

/* ------------------------------------------------------------------ the file */

/* The file knows the same settings; a flag wins. */
static void test_file_tells_the_cluster_and_a_flag_wins(void **state)
{
    (void)state;
    char path[] = "/tmp/holdfast-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    static const char text[] = "data = d\nid = 1\ncluster = 1=127.0.0.1:1,2=127.0.0.1:2\n"
                               "cluster-name = a = b\nnew-cluster = yes\npeer = 127.0.0.1:3\n";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    struct config c = assert_taken(TRY("--config", path));
    assert_int_equal(c.cluster.count, 2);
    assert_string_equal(c.cluster_name, "a = b");
    assert_string_equal(c.peer, "127.0.0.1:3");
    assert_true(c.new_cluster);
    c = assert_taken(TRY("--config", path, "--id", "2", "--new-cluster=no"));
    assert_int_equal(c.id, 2);
    assert_false(c.new_cluster);
    unlink(path);
}

/* ------------------------------------------------------------------ addresses */

/* An address has one spelling, however it is told; the text may be written over itself. */
static void test_plain_address_is_one_spelling(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"127.0.0.1:7420", "127.0.0.1:7420"}, {"localhost:7420", "127.0.0.1:7420"},
        {"127.0.0.1:007", "127.0.0.1:7"},     {"[::1]:7420", "[::1]:7420"},
        {"[0:0::1]:7420", "[::1]:7420"},      {"[2001:DB8::A]:1", "[2001:db8::a]:1"},
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(pairs); i++) {
        char text[ADDRESS_TEXT_BYTES];
        snprintf(text, sizeof text, "%s", pairs[i][0]);
        assert_int_equal(address_plain(text, text), HF_OK);
        assert_string_equal(text, pairs[i][1]);
    }
    char text[ADDRESS_TEXT_BYTES];
    assert_int_equal(address_plain("name:1", text), HF_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peer_address_is_the_members_own),
        cmocka_unit_test(test_lone_server_needs_nothing),
        cmocka_unit_test(test_init_takes_the_cluster),
        cmocka_unit_test(test_insecure_is_asked_for_beyond_loopback),
        cmocka_unit_test(test_cluster_needs_a_fitting_id),
        cmocka_unit_test(test_cluster_flags_go_with_cluster),
        cmocka_unit_test(test_addresses_that_nobody_finds_are_refused),
        cmocka_unit_test(test_cluster_name_is_short_printable_ascii),
        cmocka_unit_test(test_what_is_wrong_with_the_cluster_is_told),
        cmocka_unit_test(test_file_tells_the_cluster_and_a_flag_wins),
        cmocka_unit_test(test_plain_address_is_one_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
