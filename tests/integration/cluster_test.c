/* Three real servers: whoever leads, clients are served; what was acknowledged survives the death
 * of one, and of all at once; who is not the member that it says is kept out, and harms nobody. */
#include <holdfast.h>
#include <holdfast_timer.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/cluster_process.h"
#include "tests/integration/grant_load.h"
#include "tests/integration/known_state.h"
#include "tests/unit/cmocka_all.h"

enum {
    TTL_MS = 60000,
    TIMEOUT_MS = 20000,
    HAND_OVER_MS_MAX = 1000,
    KEPT_MAX = 200,
    STRANGER_MS = 4000,
    CONSUMER_TTL_MS = 3000,
    PARK_MS = 300,
    POLL_WAIT_MS = 60000
};

static struct cluster_process cluster;

static int setup(void **state)
{
    (void)state;
    cluster_process_init(&cluster, CLUSTER_PROCESSES);
    return cluster_process_start(&cluster) ? 0 : -1;
}

/* For tests that nobody's election may disturb: a busy machine alone moves no term. */
static int setup_patient(void **state)
{
    (void)state;
    cluster_process_init(&cluster, CLUSTER_PROCESSES);
    cluster.election_ms = "1500";
    return cluster_process_start(&cluster) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    cluster_process_close(&cluster, false);
    return 0;
}

static hf_lock *kept[KEPT_MAX];
static unsigned kept_count;

static void close_client(hf_client *client)
{
    while (kept_count > 0) hf_lock_free(kept[--kept_count]);
    hf_client_close(client);
}

static hf_client *open_client_for(const char *servers, uint64_t ttl_ms)
{
    hf_client *client;
    hf_options options;
    hf_options_init(&options);
    options.servers = servers;
    options.ttl_ms = ttl_ms;
    options.timeout_ms = TIMEOUT_MS;
    assert_int_equal(hf_client_open(&options, &client), HF_OK);
    return client;
}

static hf_client *open_client(const char *servers)
{
    return open_client_for(servers, TTL_MS);
}

/* Acquire and keep until close_client(). \return its token. */
static uint64_t take(hf_client *client, const char *name)
{
    hf_lock *lock;
    hf_grant grant;
    assert_true(kept_count < KEPT_MAX);
    assert_int_equal(hf_lock_new(client, &lock), HF_OK);
    kept[kept_count++] = lock;
    int rv = hf_lock_acquire(lock, name, 0, &grant, NULL);
    if (rv != HF_OK) fail_msg("%s: %s", name, hf_status_name(rv));
    return grant.fencing_token;
}

static void take_many(hf_client *client, const char *prefix, unsigned count, uint64_t *tokens)
{
    char name[32];
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s/%u", prefix, i);
        tokens[i] = take(client, name);
        if (i > 0) assert_true(tokens[i] > tokens[i - 1]);
    }
}

static void check_many(hf_client *client, const char *prefix, unsigned count,
                       const uint64_t *tokens)
{
    char name[32];
    for (unsigned i = 0; i < count; i++) {
        int verdict = -1;
        snprintf(name, sizeof name, "%s/%u", prefix, i);
        assert_int_equal(hf_lock_check(client, name, tokens[i], &verdict, NULL), HF_OK);
        assert_int_equal(verdict, HF_CHECK_VALID);
    }
}

static unsigned other_than(unsigned number)
{
    return (number + 1) % CLUSTER_PROCESSES;
}

/* ------------------------------------------------------------------ clients */

static int run_cli(const char *servers, const char *verb)
{
    char command[512];
    snprintf(command, sizeof command,
             "\"$(dirname \"$(dirname \"$(readlink /proc/%d/exe)\")\")\"/bin/holdfast "
             "--servers %s %s > %s/said 2>&1",
             (int)getpid(), servers, verb, cluster.servers[0].folder);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Told of all servers, or of any one of them, the library and the command line reach the leader. */
static void test_clients_are_served_whichever_server_they_know(void **state)
{
    (void)state;
    char verb[64], name[32];
    const char *known[CLUSTER_PROCESSES + 1] = {cluster.addresses};
    for (unsigned i = 0; i < CLUSTER_PROCESSES; i++) known[i + 1] = cluster.servers[i].address;
    for (unsigned i = 0; i <= CLUSTER_PROCESSES; i++) {
        hf_client *client = open_client(known[i]);
        snprintf(name, sizeof name, "known/%u", i);
        take(client, name);
        close_client(client);
        assert_int_equal(run_cli(known[i], "status"), 0);
        snprintf(verb, sizeof verb, "lock cli/%u -- true", i);
        assert_int_equal(run_cli(known[i], verb), 0);
        snprintf(verb, sizeof verb, "once record/%u -- echo %u", i, i);
        assert_int_equal(run_cli(known[i], verb), 0);
    }
}

/* ------------------------------------------------------------------ one dies */

/* The leader is killed, each server in turn, or nearly: grants go on in the same session, tokens
 * rise, and what was acknowledged before is there. */
static void test_grants_go_on_when_the_leader_is_killed(void **state)
{
    enum { ROUNDS = 3, GRANTS = 20 };
    (void)state;
    char prefix[16];
    uint64_t tokens[ROUNDS][GRANTS];
    hf_client *client = open_client(cluster.addresses);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned leader = cluster_process_leader(&cluster);
        snprintf(prefix, sizeof prefix, "round/%u", round);
        take_many(client, prefix, GRANTS, tokens[round]);
        if (round > 0) assert_true(tokens[round][0] > tokens[round - 1][GRANTS - 1]);
        server_process_kill(&cluster.servers[leader]);
        for (unsigned before = 0; before <= round; before++) {
            snprintf(prefix, sizeof prefix, "round/%u", before);
            check_many(client, prefix, GRANTS, tokens[before]);
        }
        assert_true(cluster_process_start(&cluster));
    }
    close_client(client);
    assert_true(cluster_process_agree(&cluster));
}

/* A follower that was away comes back to the same entry and the same state. */
static void test_follower_that_was_killed_catches_up(void **state)
{
    (void)state;
    uint64_t tokens[100];
    struct cluster_status before, after;
    hf_client *client = open_client(cluster.addresses);
    take_many(client, "early", 10, tokens);
    unsigned follower = other_than(cluster_process_leader(&cluster));
    assert_true(cluster_process_status(&cluster, follower, &before));
    server_process_kill(&cluster.servers[follower]);
    take_many(client, "meanwhile", 100, tokens);
    assert_true(cluster_process_start(&cluster));
    assert_true(cluster_process_agree(&cluster));
    assert_true(cluster_process_status(&cluster, follower, &after));
    assert_true(after.applied >= before.applied + 100);
    close_client(client);
}

/* SIGTERM of the leader: it hands over, and no client's call fails; the gap is small. */
static void test_leader_told_to_stop_hands_over(void **state)
{
    (void)state;
    struct grant_load load;
    grant_load_start(&load, cluster.addresses);
    while (grant_load_count(&load) < 500) sleep_ms(5);
    for (unsigned round = 0; round < 2; round++) {
        unsigned leader = cluster_process_leader(&cluster);
        grant_load_mark(&load);
        assert_int_equal(server_process_stop(&cluster.servers[leader]), 0);
        uint64_t count = grant_load_count(&load);
        while (grant_load_count(&load) < count + 500) sleep_ms(5);
        uint64_t longest_us = grant_load_longest_us(&load);
        print_message("no grant for at most %" PRIu64 " us\n", longest_us);
        assert_true(longest_us < HAND_OVER_MS_MAX * 1000);
        assert_true(cluster_process_start(&cluster));
    }
    assert_true(grant_load_stop(&load));
    assert_true(cluster_process_agree(&cluster));
}

static void note_done(int status, void *data)
{
    *(_Atomic int *)data = status;
}

/* A consumer waits at the leader, which is killed, told to stop, or falls silent; the timer is set
 * at the next one. The consumer has it, and was told nothing of all that. */
static void test_consumer_that_waits_outlives_its_leader(void **state)
{
    enum { KILL, STOP, SILENCE, WAYS };
    enum { UNDER_WAY = 1 }; /* no status is positive */
    (void)state;
    hf_client *consumer = open_client_for(cluster.addresses, CONSUMER_TTL_MS);
    hf_client *client = open_client(cluster.addresses);
    for (unsigned way = 0; way < WAYS; way++) {
        hf_timer_batch *batch = NULL;
        _Atomic int done = UNDER_WAY;
        char key[16];
        snprintf(key, sizeof key, "order/%u", way);
        unsigned leader = cluster_process_leader(&cluster);
        assert_int_equal(hf_timer_poll_async(consumer, "unpaid", 1, TTL_MS, POLL_WAIT_MS, &batch,
                                             note_done, (void *)&done, NULL),
                         HF_OK);
        sleep_ms(PARK_MS);
        if (way == KILL) server_process_kill(&cluster.servers[leader]);
        if (way == STOP) assert_int_equal(server_process_stop(&cluster.servers[leader]), 0);
        if (way == SILENCE) server_process_pause(&cluster.servers[leader]);
        const hf_timer timer = {.group = "unpaid", .version = 1};
        assert_int_equal(hf_timer_set(client, key, &timer, NULL, NULL), HF_OK);
        while (done == UNDER_WAY) sleep_ms(5);
        if (way == SILENCE) server_process_resume(&cluster.servers[leader]);
        assert_int_equal(done, HF_OK);
        assert_int_equal(hf_timer_batch_count(batch), 1);
        const hf_timer_delivery *d = hf_timer_batch_at(batch, 0);
        assert_string_equal(d->key, key);
        assert_int_equal(d->attempt, 1);
        assert_int_equal(hf_timer_ack(client, key, d->fencing_token, NULL), HF_OK);
        hf_timer_batch_free(batch);
        assert_true(cluster_process_start(&cluster));
    }
    hf_client_close(consumer);
    close_client(client);
    assert_true(cluster_process_agree(&cluster));
}

/* ------------------------------------------------------------------ all die */

/* Whoever led when it was asked for may have lost the lead since: then the next one is asked. */
static int compare_at_leader(const struct known_state *known)
{
    int rv = HF_ENOTLEADER;
    for (unsigned tries = 0; rv == HF_ENOTLEADER && tries < 20; tries++) {
        rv = known_state_compare(known, cluster.servers[cluster_process_leader(&cluster)].port);
    }
    return rv;
}

/* All three killed at once under load: every acknowledged grant, completed record and stored answer
 * is there when they run again. */
static void test_acknowledged_state_survives_the_death_of_all(void **state)
{
    (void)state;
    static struct known_state known;
    struct grant_load load;
    struct wire c;
    known = (struct known_state){0};
    grant_load_start(&load, cluster.addresses);
    for (unsigned round = 0; round < 2; round++) {
        assert_true(wire_open(&c, cluster.servers[cluster_process_leader(&cluster)].port));
        if (round == 0)
            assert_int_equal(wire_session(&c), HF_OK);
        else
            c.session = known.session;
        c.seq = c.ack = known.last_seq;
        assert_true(known_state_add(&known, &c, 50, 50, 500));
        wire_close(&c);
        cluster_process_kill(&cluster);
        assert_true(cluster_process_start(&cluster));
        assert_int_equal(compare_at_leader(&known), HF_OK);
    }
    assert_true(grant_load_stop(&load));
    assert_true(cluster_process_agree(&cluster));
}

/* ------------------------------------------------------------------ who is kept out */

/* Same leader, same term, and it grants. */
static void assert_unharmed(unsigned leader, uint64_t term)
{
    struct cluster_status s;
    assert_true(cluster_process_status(&cluster, leader, &s));
    assert_int_equal(s.leader, leader + 1);
    assert_int_equal(s.term, term);
    hf_client *client = open_client(cluster.servers[leader].address);
    hf_lock *lock;
    hf_grant grant;
    assert_int_equal(hf_lock_new(client, &lock), HF_OK);
    assert_int_equal(hf_lock_acquire(lock, "unharmed", 0, &grant, NULL), HF_OK);
    assert_int_equal(hf_lock_release(lock, &grant, NULL), HF_OK);
    hf_lock_free(lock);
    hf_client_close(client);
}

static uint64_t term_at(unsigned number)
{
    struct cluster_status s;
    assert_true(cluster_process_status(&cluster, number, &s));
    return s.term;
}

static bool log_says(const struct server_process *s, const char *words)
{
    char command[256];
    snprintf(command, sizeof command, "grep -q '%s' %s/log", words, s->folder);
    return system(command) == 0;
}

static void await_words(const struct server_process *s, const char *words)
{
    uint64_t until = now_ms() + 10000;
    while (!log_says(s, words) && now_ms() < until) sleep_ms(20);
    if (!log_says(s, words)) fail_msg("%s/log does not say: %s", s->folder, words);
}

/* The incarnations are recorded a moment after the first start; nothing else moves the log then. */
static void await_recorded(unsigned leader)
{
    struct cluster_status before, after;
    assert_true(cluster_process_status(&cluster, leader, &after));
    do {
        before = after;
        sleep_ms(1200);
        assert_true(cluster_process_status(&cluster, leader, &after));
    } while (after.applied != before.applied);
}

/* A member whose directory is empty does not start as if it were new, and told to be new all the
 * same it is refused by the others: it has forgotten its votes. */
static void test_member_that_lost_its_directory_is_kept_out(void **state)
{
    (void)state;
    char command[256], said[1024];
    struct cluster_status alone;
    unsigned leader = cluster_process_leader(&cluster);
    unsigned lost = other_than(leader);
    struct server_process *s = &cluster.servers[lost];
    await_recorded(leader);
    uint64_t term = term_at(leader);
    server_process_kill(s);
    snprintf(command, sizeof command, "rm -rf %s/data/*", s->folder);
    assert_int_equal(system(command), 0);
    s->quiet = true;
    assert_false(server_process_start(s));
    assert_true(WIFEXITED(s->ended));
    assert_int_equal(WEXITSTATUS(s->ended), 65);
    server_process_last_line(s, said, sizeof said);
    assert_non_null(strstr(said, "it has forgotten its votes"));
    assert_unharmed(leader, term);

    cluster_process_set_arguments(&cluster, lost, true);
    server_process_spawn(s);
    await_words(&cluster.servers[leader], "another server was refused");
    sleep_ms(STRANGER_MS);
    assert_true(cluster_process_status(&cluster, lost, &alone));
    assert_int_equal(alone.leader, 0);
    assert_unharmed(leader, term);
    assert_int_equal(server_process_stop(s), 0);
}

static int note_holder(const hf_lock_line *line, void *data)
{
    *(uint64_t *)data = line->fencing_token;
    return 0;
}

/* Two of three are dead: the third cannot know whether it is up to date, and answers those alone
 * who say that they do not mind. */
static void test_lone_survivor_answers_stale_reads_alone(void **state)
{
    (void)state;
    unsigned survivor = other_than(cluster_process_leader(&cluster));
    hf_client *client = open_client(cluster.addresses);
    uint64_t token = take(client, "stale/a");
    assert_true(cluster_process_agree(&cluster));
    for (unsigned i = 0; i < CLUSTER_PROCESSES; i++)
        if (i != survivor) server_process_kill(&cluster.servers[i]);

    hf_client *looker;
    hf_options options;
    hf_options_init(&options);
    options.servers = cluster.addresses;
    options.timeout_ms = 1500;
    for (options.stale_reads = 0; options.stale_reads <= 1; options.stale_reads++) {
        bool stale = options.stale_reads != 0;
        uint64_t listed = 0;
        uint64_t shown = 0;
        int verdict;
        assert_int_equal(hf_client_open(&options, &looker), HF_OK);
        int rv = hf_lock_list(looker, "stale/", note_holder, &listed);
        assert_int_equal(rv == HF_OK, stale);
        rv = hf_lock_info(looker, "stale/a", note_holder, &shown);
        assert_int_equal(rv == HF_OK, stale);
        assert_int_equal(listed, stale ? token : 0);
        assert_int_equal(shown, stale ? token : 0);
        rv = hf_lock_check(looker, "stale/a", token, &verdict, NULL);
        assert_int_not_equal(rv, HF_OK); /* no such look: it must not be past */
        hf_client_close(looker);
    }
    assert_int_equal(run_cli(cluster.addresses, "locks --stale"), 0);
    assert_true(cluster_process_start(&cluster));
    close_client(client);
}

/* A second server under a member's number, from a directory of its own and on other addresses, is
 * refused by those who know the first: nothing changes for them. */
static void test_second_server_under_a_members_number_is_refused(void **state)
{
    (void)state;
    unsigned leader = cluster_process_leader(&cluster);
    unsigned twin = other_than(leader);
    struct server_process s;
    char peer[64], command[1024];
    await_recorded(leader);
    uint64_t term = term_at(leader);
    server_process_init(&s);
    snprintf(peer, sizeof peer, "127.0.0.1:%u", (unsigned)server_process_draw_port());
    snprintf(command, sizeof command,
             "\"$(dirname \"$(dirname \"$(readlink /proc/%d/exe)\")\")\"/bin/holdfastd init "
             "--data %s/data --segment-mib 4 --id %u --cluster %s > %s/said",
             (int)getpid(), s.folder, twin + 1, cluster.list, s.folder);
    assert_int_equal(system(command), 0);
    memcpy(s.extra, cluster.servers[twin].extra, sizeof s.extra);
    s.extra[6] = "--peer";
    s.extra[7] = peer;
    server_process_spawn(&s);
    await_words(&cluster.servers[leader], "another server was refused");
    sleep_ms(STRANGER_MS);
    assert_false(log_says(&s, "msg=\"ready\""));
    assert_unharmed(leader, term);
    assert_int_equal(server_process_stop(&s), 0);
    server_process_close(&s, false);
    assert_true(cluster_process_agree(&cluster));
}

#define CLUSTER_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define PATIENT_TEST(test) cmocka_unit_test_setup_teardown(test, setup_patient, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLUSTER_TEST(test_clients_are_served_whichever_server_they_know),
        CLUSTER_TEST(test_grants_go_on_when_the_leader_is_killed),
        CLUSTER_TEST(test_follower_that_was_killed_catches_up),
        CLUSTER_TEST(test_leader_told_to_stop_hands_over),
        CLUSTER_TEST(test_consumer_that_waits_outlives_its_leader),
        CLUSTER_TEST(test_acknowledged_state_survives_the_death_of_all),
        PATIENT_TEST(test_member_that_lost_its_directory_is_kept_out),
        PATIENT_TEST(test_second_server_under_a_members_number_is_refused),
        CLUSTER_TEST(test_lone_survivor_answers_stale_reads_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
