/* A real holdfastd over real sockets, spoken to by hand: the main job, kills, pauses, settings,
 * and clients that behave badly. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/prng.h"
#include "base/status.h"
#include "tests/integration/raw_client.h"
#include "tests/integration/server_process.h"
#include "tests/unit/cmocka_all.h"

enum { TTL_MS = 60000 };

static int setup(void **state)
{
    struct server_process *s = calloc(1, sizeof *s);
    assert_non_null(s);
    server_process_init(s);
    s->extra[0] = "--segment-mib";
    s->extra[1] = "4";
    assert_true(server_process_start(s));
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct server_process *s = *state;
    server_process_close(s, false);
    free(s);
    return 0;
}

/* ------------------------------------------------------------------ the main job */

/* A lock is granted, refused to another session, released, and granted again with a new token. */
static void test_lock_is_granted_released_and_granted_again(void **state)
{
    struct server_process *s = *state;
    struct raw_client a, b;
    uint64_t first = 0, second = 0;
    raw_hello(&a, s->port);
    raw_hello(&b, s->port);
    raw_open(&a, 1, TTL_MS);
    raw_open(&b, 2, TTL_MS);
    assert_int_equal(raw_acquire(&a, "till", 0, &first), HF_OK);
    assert_int_equal(raw_acquire(&b, "till", 0, &second), HF_EBUSY);
    assert_int_equal(raw_release(&a, "till", first), HF_OK);
    assert_int_equal(raw_acquire(&b, "till", 0, &second), HF_OK);
    assert_true(second > first);
    raw_close(&a);
    raw_close(&b);
}

/* A waiter gets the lock at its release, without asking again. */
static void test_waiter_is_granted_at_the_release(void **state)
{
    struct server_process *s = *state;
    struct raw_client a, b;
    struct raw_reply reply;
    struct msg_granted granted;
    uint64_t token = 0;
    raw_hello(&a, s->port);
    raw_hello(&b, s->port);
    raw_open(&a, 1, TTL_MS);
    raw_open(&b, 2, TTL_MS);
    assert_int_equal(raw_acquire(&a, "till", 0, &token), HF_OK);
    struct slice names[] = {slice_of("till")};
    struct msg_acquire acquire = {
        .names = {.items = names, .count = 1}, .owner = 1, .wait_ms = 30000};
    uint64_t id = raw_send(&b, OP_CODE_ACQUIRE, &acquire, 0);
    assert_false(raw_receive(&b, &reply, 100));
    assert_int_equal(raw_release(&a, "till", token), HF_OK);
    assert_true(raw_receive(&b, &reply, 10000));
    assert_int_equal(reply.request_id, id);
    assert_int_equal(reply.status, HF_OK);
    assert_int_equal(codec_decode(&msg_granted_type, reply.body, NULL, &granted), HF_OK);
    assert_true(granted.fencing_token > token);
    assert_int_equal(granted.waited, 1);
    raw_close(&a);
    raw_close(&b);
}

/* Many requests in one write are one read, one entry or few, and all answered. */
static void test_pipelined_requests_are_all_answered(void **state)
{
    struct server_process *s = *state;
    struct raw_client c;
    struct raw_reply reply;
    raw_hello(&c, s->port);
    raw_open(&c, 1, TTL_MS);
    for (uint64_t i = 0; i < 500; i++) {
        char name[32];
        snprintf(name, sizeof name, "lock-%03u", (unsigned)i);
        struct slice names[] = {slice_of(name)};
        struct msg_acquire acquire = {.names = {.items = names, .count = 1}, .owner = 1 + i};
        raw_send(&c, OP_CODE_ACQUIRE, &acquire, 10 + i);
    }
    for (uint64_t i = 0; i < 500; i++) {
        assert_true(raw_receive(&c, &reply, 10000));
        assert_int_equal(reply.request_id, 3 + i);
        assert_int_equal(reply.status, HF_OK);
    }
    raw_close(&c);
}

/* ------------------------------------------------------------------ kills and pauses */

/* kill -9 at a random moment, twenty times: every grant that was told is there after the restart,
 * and tokens go on rising. */
static void test_acknowledged_grants_survive_kill_9(void **state)
{
    struct server_process *s = *state;
    struct raw_client c;
    struct prng p;
    uint64_t last = 0, token = 0;
    char name[32];
    prng_seed(&p, 11);
    raw_hello(&c, s->port);
    raw_open(&c, 1, TTL_MS);
    uint64_t session = c.session;
    for (unsigned round = 0; round < 20; round++) {
        uint64_t count = 1 + prng_below(&p, 30);
        for (uint64_t i = 0; i < count; i++) {
            snprintf(name, sizeof name, "%u.%u", round, (unsigned)i);
            assert_int_equal(raw_acquire(&c, name, 0, &token), HF_OK);
            assert_true(token > last);
            last = token;
        }
        server_process_kill(s);
        uint64_t seq = c.seq;
        raw_close(&c);
        assert_true(server_process_start(s));
        raw_hello(&c, s->port);
        c.session = session;
        c.seq = seq;
        assert_int_equal(raw_check(&c, name, token), CHECK_VALID);
        if (round % 4 == 0) sleep_ms(1100); /* so that some rounds have a flush in them */
    }
    raw_close(&c);
}

/* The same request, sent again on a new connection after the old one was cut, gets the same
 * token. */
static void test_resent_request_gets_the_same_token(void **state)
{
    struct server_process *s = *state;
    struct raw_client c;
    struct raw_reply reply;
    struct msg_granted first, again;
    struct slice names[] = {slice_of("till")};
    struct msg_acquire acquire = {.names = {.items = names, .count = 1}, .owner = 1};
    raw_hello(&c, s->port);
    raw_open(&c, 1, TTL_MS);
    uint64_t session = c.session;
    raw_send(&c, OP_CODE_ACQUIRE, &acquire, 5);
    assert_true(raw_receive(&c, &reply, 10000));
    assert_int_equal(codec_decode(&msg_granted_type, reply.body, NULL, &first), HF_OK);
    raw_close(&c);

    raw_hello(&c, s->port);
    c.session = session;
    raw_send(&c, OP_CODE_ACQUIRE, &acquire, 5);
    assert_true(raw_receive(&c, &reply, 10000));
    assert_int_equal(reply.status, HF_OK);
    assert_int_equal(codec_decode(&msg_granted_type, reply.body, NULL, &again), HF_OK);
    assert_int_equal(first.fencing_token, again.fencing_token);
    raw_close(&c);
}

/* A server that was stopped for longer than a lease expires nobody by it. */
static void test_paused_server_expires_nobody(void **state)
{
    struct server_process *s = *state;
    struct raw_client c;
    struct raw_reply reply;
    struct msg_keep keep = {.losses_acked = {0}};
    uint64_t token = 0;
    raw_hello(&c, s->port);
    raw_open(&c, 1, 2000);
    assert_int_equal(raw_acquire(&c, "till", 0, &token), HF_OK);
    server_process_pause(s);
    sleep_ms(4000);
    server_process_resume(s);
    sleep_ms(500); /* the grace is 2 s: whoever is alive renews in it */
    assert_int_equal(raw_call(&c, OP_CODE_KEEP, &keep, &reply), HF_OK);
    assert_int_equal(raw_check(&c, "till", token), CHECK_VALID);
    raw_close(&c);
}

/* SIGTERM: SHUTDOWN is told on every connection, and the exit code is 0. */
static void test_graceful_stop_says_goodbye(void **state)
{
    struct server_process *s = *state;
    struct raw_client c;
    struct raw_reply reply;
    uint64_t token = 0;
    raw_hello(&c, s->port);
    raw_open(&c, 1, TTL_MS);
    uint64_t session = c.session;
    assert_int_equal(raw_acquire(&c, "till", 0, &token), HF_OK);
    assert_int_equal(server_process_stop(s), 0);
    assert_true(raw_receive(&c, &reply, 5000));
    assert_int_equal(reply.request_id, 0);
    assert_int_equal(reply.status, HF_ESHUTDOWN);
    raw_close(&c);

    assert_true(server_process_start(s));
    raw_hello(&c, s->port);
    c.session = session;
    assert_int_equal(raw_check(&c, "till", token), CHECK_VALID);
    raw_close(&c);
}

/* ------------------------------------------------------------------ clients that misbehave */

/* Garbage, half frames and cut connections harm nobody else. */
static void test_garbage_harms_no_other_client(void **state)
{
    struct server_process *s = *state;
    struct raw_client good, bad;
    struct prng p;
    uint64_t token = 0;
    prng_seed(&p, 3);
    raw_hello(&good, s->port);
    raw_open(&good, 1, TTL_MS);
    for (int round = 0; round < 300; round++) {
        uint8_t bytes[512];
        size_t size = 1 + prng_below(&p, sizeof bytes);
        for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)prng_next(&p);
        if (round % 3 == 0) memset(bytes, 0, size < 3 ? size : 3); /* a length that may be right */
        if (round % 2 == 0)
            raw_hello(&bad, s->port);
        else
            assert_true(raw_connect(&bad, s->port));
        raw_send_bytes(&bad, bytes, size);
        raw_close(&bad);
    }
    assert_int_equal(raw_acquire(&good, "till", 0, &token), HF_OK);
    raw_close(&good);
}

/* A connection that never says HELLO is closed after five seconds. */
static void test_silent_connection_is_closed(void **state)
{
    struct server_process *s = *state;
    struct raw_client c;
    uint64_t begin = now_ms();
    assert_true(raw_connect(&c, s->port));
    assert_true(raw_is_closed_within(&c, 15000));
    assert_true(now_ms() - begin >= 4900);
    raw_close(&c);
}

/* Who asks and never reads is closed when a megabyte waits for it. */
static void test_client_that_never_reads_is_closed(void **state)
{
    struct server_process *s = *state;
    struct raw_client c;
    struct msg_empty empty = {0};
    raw_hello(&c, s->port);
    bool closed = false;
    for (int i = 0; i < 200000 && !closed; i++) {
        (void)raw_send(&c, OP_CODE_STATUS, &empty, 0);
        closed = c.send_failed;
    }
    assert_true(closed);
    raw_close(&c);
}

/* Two thousand connections at once are all served. */
static void test_two_thousand_connections_are_served(void **state)
{
    enum { CONNECTIONS = 2000 };
    struct server_process *s = *state;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < CONNECTIONS + 100) skip();
    struct raw_client *clients = calloc(CONNECTIONS, sizeof *clients);
    struct msg_empty empty = {0};
    struct raw_reply reply;
    for (int i = 0; i < CONNECTIONS; i++) raw_hello(&clients[i], s->port);
    for (int i = 0; i < CONNECTIONS; i++) raw_send(&clients[i], OP_CODE_STATUS, &empty, 0);
    for (int i = 0; i < CONNECTIONS; i++) {
        assert_true(raw_receive(&clients[i], &reply, 10000));
        assert_int_equal(reply.status, HF_OK);
        raw_close(&clients[i]);
    }
    free(clients);
}

/* Beyond the limit a connection is closed at once; the others are served, and a place that becomes
 * free is taken. */
static void test_connections_beyond_the_limit_are_refused(void **state)
{
    struct server_process *s = *state;
    struct raw_client first, second, third;
    uint64_t token = 0;
    assert_int_equal(server_process_stop(s), 0);
    s->extra[2] = "--connections";
    s->extra[3] = "2";
    assert_true(server_process_start(s));
    raw_hello(&first, s->port);
    raw_hello(&second, s->port);
    assert_true(raw_connect(&third, s->port));
    assert_true(raw_is_closed_within(&third, 4000));
    raw_close(&third);
    raw_open(&first, 1, TTL_MS);
    assert_int_equal(raw_acquire(&first, "till", 0, &token), HF_OK);
    raw_close(&second);
    sleep_ms(200);
    raw_hello(&third, s->port);
    raw_close(&first);
    raw_close(&third);
}

/* ------------------------------------------------------------------ settings and directories */

/* Run holdfastd with further arguments; its exit code, and in `said` the first line it wrote. */
static int run_as(const struct server_process *s, const char *verb, const char *arguments,
                  char *said, size_t bytes)
{
    char path[512], command[1024];
    const char *given = getenv("HOLDFASTD");
    ssize_t got = readlink("/proc/self/exe", path, sizeof path - 1);
    assert_true(got > 0);
    path[got] = '\0';
    *strrchr(path, '/') = '\0';
    *strrchr(path, '/') = '\0';
    snprintf(command, sizeof command, "%s%s %s --data %s/other %s 2>&1",
             given != NULL ? given : path, given != NULL ? "" : "/bin/holdfastd", verb, s->folder,
             arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    said[0] = '\0';
    if (fgets(said, (int)bytes, pipe) == NULL) said[0] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int run(const struct server_process *s, const char *arguments, char *said, size_t bytes)
{
    return run_as(s, "", arguments, said, bytes);
}

/* Each wrong setting is one sentence and code 64. */
static void test_wrong_settings_are_one_sentence_and_64(void **state)
{
    static const struct {
        const char *arguments;
        const char *part;
    } cases[] = {
        {"--port 1", "no flag"},
        {"--client nowhere", "HOST:PORT"},
        {"--client 0.0.0.0:0", "--insecure"},
        {"--client 127.0.0.1:99999", "HOST:PORT"},
        {"--segment-mib 3", "4 to 64"},
        {"--election-ms 49", "50 to 60000"},
        {"--segment-mib 4 --segment-mib 5", "twice"},
        {"--id 0", "--id"},
        {"--id", "wants a value"},
        {"--log-level loud", "debug"},
        {"--config /nonexistent", "configuration file"},
        {"extra", "not a flag"},
        {"--peer 127.0.0.1:1", "--peer goes with --cluster"},
        {"--cluster-name blue", "--cluster-name goes with --cluster"},
        {"--new-cluster", "--new-cluster goes with --cluster"},
        {"--cluster 1=127.0.0.1:1", "wants --id"},
        {"--id 3 --cluster 1=127.0.0.1:1,2=127.0.0.1:2", "no server of --id 3"},
        {"--id 1 --cluster 1=127.0.0.1:1,2=localhost", "\"2=localhost\" is not ID=HOST:PORT"},
        {"--id 1 --cluster 1=127.0.0.1:1,1=127.0.0.1:2", "server 1 twice"},
        {"--id 1 --cluster 1=127.0.0.1:1,2=127.0.0.1:1", "127.0.0.1:1 to two servers"},
        {"--id 1 --cluster 1=10.1.1.1:1", "--insecure"},
        {"--id 1 --cluster 1=127.0.0.1:1 --peer here", "--peer must be a numeric HOST:PORT"},
        {"--id 1 --cluster 1=127.0.0.1:1 --peer 10.1.1.1:1", "--insecure"},
    };
    char said[512];
    for (size_t i = 0; i < HF_ARRAY_COUNT(cases); i++) {
        assert_int_equal(run(*state, cases[i].arguments, said, sizeof said), 64);
        assert_non_null(strstr(said, cases[i].part));
    }
}

/* A configuration file says the same as flags, and is refused in the same way. */
static void test_configuration_file_is_read_and_checked(void **state)
{
    struct server_process *s = *state;
    char path[128], arguments[192], said[512];
    snprintf(path, sizeof path, "%s/conf", s->folder);
    snprintf(arguments, sizeof arguments, "--config %s", path);
    static const struct {
        const char *text;
        const char *part;
    } cases[] = {
        {"# fine\n\nport = 3\n", "line 3"},
        {"client = 127.0.0.1:0\nclient = 127.0.0.1:1\n", "again"},
        {"segment-mib 4\n", "name = value"},
        {"client = 10.1.1.1:7420\n", "--insecure"},
        {"\nsegment-mib = 4 # small\n", "line 2 of the configuration file: --segment-mib"},
        {"id = 12x\n", "not \"12x\""},
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(cases); i++) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(cases[i].text, f);
        fclose(f);
        assert_int_equal(run(s, arguments, said, sizeof said), 64);
        assert_non_null(strstr(said, cases[i].part));
    }
}

/* A second server on the directory is refused, and the first one goes on. */
static void test_directory_in_use_is_refused(void **state)
{
    struct server_process *s = *state;
    char said[512], arguments[192], link[160], target[160];
    snprintf(target, sizeof target, "%s/data", s->folder);
    snprintf(link, sizeof link, "%s/other", s->folder);
    assert_int_equal(symlink(target, link), 0);
    snprintf(arguments, sizeof arguments, "--client 127.0.0.1:0");
    assert_int_equal(run(s, arguments, said, sizeof said), 74);
    assert_non_null(strstr(said, "in use"));
    struct raw_client c;
    raw_hello(&c, s->port);
    raw_close(&c);
}

/* A path that is a file, or that leads through one, is told as that. */
static void test_data_that_is_no_directory_is_told(void **state)
{
    struct server_process *s = *state;
    char said[512], path[160];
    snprintf(path, sizeof path, "%s/other", s->folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(run(s, "--client 127.0.0.1:0", said, sizeof said), 74);
    assert_non_null(strstr(said, "/other is not a directory"));
    assert_int_equal(run_as(s, "init", "", said, sizeof said), 74);
    assert_non_null(strstr(said, "/other is not a directory"));
}

/* A directory that lost its vote file, or its log, does not start as if it were new. */
static void test_directory_that_lost_a_part_is_refused(void **state)
{
    struct server_process *s = *state;
    struct raw_client c;
    char said[512], command[512];
    uint64_t token = 0;
    raw_hello(&c, s->port);
    raw_open(&c, 1, TTL_MS);
    assert_int_equal(raw_acquire(&c, "till", 0, &token), HF_OK);
    raw_close(&c);
    assert_int_equal(server_process_stop(s), 0);
    static const char *const parts[] = {"vote", "wal-*", "store"};
    for (size_t i = 0; i < HF_ARRAY_COUNT(parts); i++) {
        snprintf(command, sizeof command,
                 "cd %s && rm -rf other && cp -r data other && rm -r other/%s", s->folder,
                 parts[i]);
        assert_int_equal(system(command), 0);
        assert_int_equal(run(s, "--client 127.0.0.1:0", said, sizeof said), 65);
        assert_true(strlen(said) > 20);
    }
}

/* init makes a directory once. */
static void test_init_makes_a_directory_once(void **state)
{
    struct server_process *s = *state;
    char said[512];
    assert_int_equal(run_as(s, "init", "--segment-mib 4 --id 3", said, sizeof said), 0);
    assert_int_equal(run_as(s, "init", "--segment-mib 4 --id 3", said, sizeof said), 65);
    assert_non_null(strstr(said, "already"));
    assert_int_equal(run(s, "--id 4 --client 127.0.0.1:0", said, sizeof said), 65);
    assert_int_equal(run(s, "--help", said, sizeof said), 0);
    assert_int_equal(run(s, "--version", said, sizeof said), 0);
    assert_non_null(strstr(said, "holdfastd"));
}

static void with_list(char *to, size_t bytes, const char *text, const char *list)
{
    const char *at = strstr(text, "LIST");
    int before = at != NULL ? (int)(at - text) : (int)strlen(text);
    snprintf(to, bytes, "%.*s%s%s", before, text, at != NULL ? list : "",
             at != NULL ? at + strlen("LIST") : "");
}

/* A directory keeps whose it is: another number, other members or another name, or none of them, is
 * told apart, and so is a lone server's directory that is started as a member's. */
static void test_directory_of_another_member_or_cluster_is_refused(void **state)
{
    struct server_process *s = *state;
    char said[512], arguments[512], list[128];
    snprintf(list, sizeof list, "--cluster 1=127.0.0.1:%u,2=127.0.0.1:%u",
             (unsigned)server_process_draw_port(), (unsigned)server_process_draw_port());
    static const struct {
        const char *made;    /* by init; with or without the list */
        const char *started; /* likewise */
        int code;
        const char *part;
    } cases[] = {
        {"--id 2 LIST", "--id 1 LIST", 65, "belongs to server 2, not to 1"},
        {"--id 2 LIST", "--id 2 LIST,3=127.0.0.1:3", 65, "belongs to another cluster"},
        {"--id 2 LIST", "--id 2 --cluster-name blue LIST", 65, "belongs to another cluster"},
        {"--id 2 LIST", "--id 2", 64, "give --id and --cluster as when it was made"},
        {"--id 2", "--id 2 LIST", 65, "belongs to another cluster"},
    };
    for (size_t i = 0; i < HF_ARRAY_COUNT(cases); i++) {
        snprintf(arguments, sizeof arguments, "rm -rf %s/other", s->folder);
        assert_int_equal(system(arguments), 0);
        with_list(arguments, sizeof arguments, cases[i].made, list);
        assert_int_equal(run_as(s, "init --segment-mib 4", arguments, said, sizeof said), 0);
        with_list(arguments, sizeof arguments, cases[i].started, list);
        assert_int_equal(run_as(s, "--client 127.0.0.1:0", arguments, said, sizeof said),
                         cases[i].code);
        if (strstr(said, cases[i].part) == NULL) fail_msg("%s", said);
    }
}

#define SERVER_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_lock_is_granted_released_and_granted_again),
        SERVER_TEST(test_waiter_is_granted_at_the_release),
        SERVER_TEST(test_pipelined_requests_are_all_answered),
        SERVER_TEST(test_acknowledged_grants_survive_kill_9),
        SERVER_TEST(test_resent_request_gets_the_same_token),
        SERVER_TEST(test_paused_server_expires_nobody),
        SERVER_TEST(test_graceful_stop_says_goodbye),
        SERVER_TEST(test_garbage_harms_no_other_client),
        SERVER_TEST(test_silent_connection_is_closed),
        SERVER_TEST(test_client_that_never_reads_is_closed),
        SERVER_TEST(test_two_thousand_connections_are_served),
        SERVER_TEST(test_connections_beyond_the_limit_are_refused),
        SERVER_TEST(test_wrong_settings_are_one_sentence_and_64),
        SERVER_TEST(test_configuration_file_is_read_and_checked),
        SERVER_TEST(test_directory_in_use_is_refused),
        SERVER_TEST(test_data_that_is_no_directory_is_told),
        SERVER_TEST(test_directory_that_lost_a_part_is_refused),
        SERVER_TEST(test_init_makes_a_directory_once),
        SERVER_TEST(test_directory_of_another_member_or_cluster_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
