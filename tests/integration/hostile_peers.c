/* Hostile bytes on the port where servers listen for each other, beside a good client: random
 * bytes, cut and mutated introductions, false lengths, introductions of who is no member (another
 * cluster, number, incarnation) followed by messages of every kind, floods and dawdlers. No server
 * may crash, grow without bound, change its term or lose its leader, nor may the client feel it.
 *
 * Then, for a quarter of the time, from inside: an introduction that is a member's own in all
 * parts, and frames behind it that break a rule. That cuts the member's link, so terms may move;
 * but nothing ends, and nothing is lost. Messages that keep every rule are not sent: whoever may
 * introduce itself as a member is believed (there is no authentication yet).
 *
 *     hostile_peers [SECONDS [SEED]]      default 5
 *
 * At the end all servers are killed and apply their logs again, stop cleanly (under ASan: leak
 * nothing), and all invariants of their states hold. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/status.h"
#include "raft/peer_frame.h"
#include "tests/integration/cluster_process.h"
#include "tests/integration/hostile.h"
#include "tests/integration/whole_state.h"

enum { FLOOD_CONNECTIONS = 150, ENTRIES_MAX = 20 };

struct attack {
    struct hostile h;                          /* connections, what is sent next */
    struct cluster_process cluster;            /* under attack */
    struct good_client good;                   /* beside it */
    struct memory_watch memory;                /* of the leader */
    uint8_t cluster_id[PEER_CLUSTER_ID_BYTES]; /* the true one */
    uint64_t incarnations[CLUSTER_PROCESSES];  /* the true ones */
    unsigned target;                           /* whose port h.port is */
};

/* ------------------------------------------------------------------ making frames */

static struct peer_hello true_hello(const struct attack *a, unsigned from)
{
    struct peer_hello hello = {
        .from = from + 1,
        .incarnation = a->incarnations[from],
        .to = a->target + 1,
        .client_address = slice_of(a->cluster.servers[from].address),
    };
    memcpy(hello.cluster_id, a->cluster_id, sizeof hello.cluster_id);
    return hello;
}

static void add_hello(struct attack *a, const struct peer_hello *hello)
{
    HF_ASSERT(peer_hello_write(&a->h.bytes, hello) == HF_OK);
}

static uint64_t other_target(struct attack *a)
{
    return (a->target + 1 + prng_below(&a->h.prng, CLUSTER_PROCESSES - 1)) % CLUSTER_PROCESSES;
}

/* True in all parts but one. */
static struct peer_hello strange_hello(struct attack *a)
{
    struct peer_hello hello = true_hello(a, (unsigned)other_target(a));
    switch (prng_below(&a->h.prng, 5)) {
    case 0: hello.cluster_id[prng_below(&a->h.prng, sizeof hello.cluster_id)] ^= 1; break;
    case 1: hello.incarnation ^= 1 + prng_below(&a->h.prng, 1000); break;
    case 2: hello.to = prng_below(&a->h.prng, 3) != 0 ? hello.from : UINT32_MAX; break;
    case 3: hello.from = a->target + 1; break;
    default: hello.from = 4 + prng_below(&a->h.prng, UINT32_MAX); break;
    }
    return hello;
}

/* Small, great, or near a multiple of something. */
static uint64_t number(struct attack *a)
{
    switch (prng_below(&a->h.prng, 4)) {
    case 0: return prng_below(&a->h.prng, 4);
    case 1: return UINT64_MAX >> prng_below(&a->h.prng, 64);
    case 2: return (uint64_t)1 << prng_below(&a->h.prng, 64);
    default: return prng_next(&a->h.prng);
    }
}

/* A message that keeps the frame's rules, of any kind and with any numbers. */
static void add_message(struct attack *a)
{
    static const uint8_t types[] = {MESSAGE_APPEND,      MESSAGE_APPEND_RESULT, MESSAGE_VOTE,
                                    MESSAGE_VOTE_RESULT, MESSAGE_TIMEOUT_NOW,   MESSAGE_PING,
                                    MESSAGE_PONG};
    static uint8_t data[256];
    struct log_entry entries[ENTRIES_MAX];
    struct message m = {.type = types[prng_below(&a->h.prng, sizeof types)], .term = number(a)};
    if (m.type == MESSAGE_APPEND) {
        m.append = (struct message_append){
            .previous_index = number(a), .previous_term = number(a), .commit_index = number(a)};
        m.append.count = (uint32_t)prng_below(&a->h.prng, ENTRIES_MAX + 1);
        m.append.entries = entries;
        for (uint32_t i = 0; i < m.append.count; i++)
            entries[i] = (struct log_entry){
                .index = m.append.previous_index + 1 + i,
                .term = number(a),
                .type = 1,
                .data = slice_make(data, (size_t)8 * (1 + i)),
            };
    } else if (m.type == MESSAGE_APPEND_RESULT) {
        m.append_result = (struct message_append_result){
            .rejected_index = number(a), .last_index = number(a), .features = 1};
    } else if (m.type == MESSAGE_VOTE) {
        m.vote = (struct message_vote){.last_index = number(a), .last_term = number(a)};
        m.vote.disrupt_leader = prng_below(&a->h.prng, 2);
        m.vote.pre_vote = prng_below(&a->h.prng, 2);
    } else if (m.type == MESSAGE_VOTE_RESULT) {
        m.vote_result = (struct message_vote_result){.granted = true, .features = 1};
    } else if (m.type == MESSAGE_TIMEOUT_NOW) {
        m.timeout_now = (struct message_timeout_now){.last_index = number(a)};
    } else if (m.type == MESSAGE_PING) {
        m.ping = (struct message_ping){.nonce = number(a), .cluster_time_ms = number(a)};
    } else {
        m.pong = (struct message_pong){.nonce = number(a)};
    }
    HF_ASSERT(peer_message_write(&a->h.bytes, &m) == HF_OK);
}

/* So that what was changed is looked at, and not only its check. */
static void set_check(struct attack *a, size_t from)
{
    uint8_t *frame = a->h.bytes.data + from;
    size_t size = a->h.bytes.size - from;
    if (size < PEER_FRAME_HEADER_BYTES) return;
    put_u32(frame, (uint32_t)size);
    put_u32(frame + 4, crc32c(0, frame + 8, size - 8));
}

/* ------------------------------------------------------------------ strangers */

static void throw_random(struct attack *a)
{
    hostile_add_random(&a->h, 1 + prng_below(&a->h.prng, 5000));
    hostile_send_and_end(&a->h);
}

static void throw_cut(struct attack *a)
{
    struct peer_hello hello = strange_hello(a);
    add_hello(a, &hello);
    a->h.bytes.size = prng_below(&a->h.prng, a->h.bytes.size);
    hostile_send_and_end(&a->h);
}

static void throw_mutated(struct attack *a)
{
    struct peer_hello hello = strange_hello(a);
    add_hello(a, &hello);
    hostile_mutate(&a->h, 0);
    if (prng_below(&a->h.prng, 2) == 0) set_check(a, 0);
    hostile_send_and_end(&a->h);
}

/* An introduction that is refused, and messages all the same, in one write. */
static void throw_strange(struct attack *a)
{
    struct peer_hello hello = strange_hello(a);
    add_hello(a, &hello);
    for (uint64_t n = prng_below(&a->h.prng, 10); n > 0; n--) add_message(a);
    hostile_send_and_end(&a->h);
}

static void skip_hello(struct attack *a)
{
    add_message(a);
    add_message(a);
    hostile_send_and_end(&a->h);
}

static void throw_lengths(struct attack *a)
{
    static const uint32_t lengths[] = {0,    1,       11,      12,         4096,
                                       4097, 8388608, 8388609, 0x7fffffff, 0xffffffff};
    uint8_t head[PEER_FRAME_HEADER_BYTES] = {[8] = PEER_FRAME_HELLO};
    put_u32(head, lengths[prng_below(&a->h.prng, HF_ARRAY_COUNT(lengths))]);
    hostile_append(&a->h, head, sizeof head);
    hostile_add_random(&a->h, prng_below(&a->h.prng, 5000));
    hostile_send_and_end(&a->h);
}

/* More at once than there are places. */
static void flood(struct attack *a)
{
    static struct wire open[FLOOD_CONNECTIONS];
    unsigned count = 0;
    for (unsigned i = 0; i < FLOOD_CONNECTIONS; i++) {
        if (!hostile_connect(&a->h, &open[count])) continue;
        fcntl(open[count].fd, F_SETFL, O_NONBLOCK);
        buffer_clear(&a->h.bytes);
        struct peer_hello hello = strange_hello(a);
        if (i % 2 == 0) add_hello(a, &hello);
        hostile_send(&a->h, &open[count++]);
    }
    for (unsigned i = 0; i < count; i++) wire_close(&open[i]);
}

static void dawdle(struct attack *a)
{
    hostile_dawdle(&a->h);
}

static void attack_as_stranger(struct attack *a)
{
    static void (*const attacks[])(struct attack *) = {
        throw_random,  throw_cut,     throw_mutated, throw_mutated, throw_mutated,
        throw_strange, throw_strange, skip_hello,    throw_lengths, dawdle,
    };
    if (prng_below(&a->h.prng, 300) == 0)
        flood(a);
    else
        attacks[prng_below(&a->h.prng, HF_ARRAY_COUNT(attacks))](a);
}

/* ------------------------------------------------------------------ from inside */

/* One frame that breaks a rule: its check, its form, or a kind that does not belong here. */
static void add_broken(struct attack *a)
{
    size_t from = a->h.bytes.size;
    struct peer_hello again = true_hello(a, (unsigned)other_target(a));
    switch (prng_below(&a->h.prng, 4)) {
    case 0: add_hello(a, &again); break;
    case 1: /* a byte too many or too few */
        add_message(a);
        if (prng_below(&a->h.prng, 2) == 0)
            hostile_add_random(&a->h, 1);
        else
            a->h.bytes.size--;
        set_check(a, from);
        break;
    case 2: /* a kind that there is not */
        add_message(a);
        a->h.bytes.data[from + 8] = (uint8_t)(0x20 + prng_below(&a->h.prng, 200));
        set_check(a, from);
        break;
    default:
        add_message(a);
        a->h.bytes.data[from + 8 + prng_below(&a->h.prng, a->h.bytes.size - from - 8)] ^= 1;
        break;
    }
}

static void attack_from_inside(struct attack *a)
{
    struct peer_hello hello = true_hello(a, (unsigned)other_target(a));
    add_hello(a, &hello);
    add_broken(a);
    hostile_send_and_end(&a->h);
}

/* ------------------------------------------------------------------ all */

/* Each server's incarnation is in its answer, and the cluster's id in its log. */
static bool learn(struct attack *a)
{
    char path[128], line[1024];
    snprintf(path, sizeof path, "%s/log", a->cluster.servers[0].folder);
    FILE *f = fopen(path, "r");
    if (f == NULL) return false;
    bool found = false;
    while (!found && fgets(line, sizeof line, f) != NULL) {
        const char *at = strstr(line, " cluster=");
        for (unsigned i = 0; at != NULL && i < PEER_CLUSTER_ID_BYTES; i++) {
            char digits[3] = {at[9 + 2 * i], at[10 + 2 * i], '\0'};
            a->cluster_id[i] = (uint8_t)strtoul(digits, NULL, 16);
        }
        found = at != NULL;
    }
    fclose(f);
    return found;
}

/* Introduce to the target, and break off. \return false: no answer. */
static bool ask(struct attack *a, const struct peer_hello *hello, struct peer_answer *answer)
{
    static uint8_t bytes[PEER_FRAME_BYTES_FIRST]; /* the answer's texts are borrowed from here */
    struct wire c;
    uint8_t kind = 0;
    struct slice body = {0};
    size_t got = 0, size = 0;
    if (!wire_connect(&c, a->cluster.peer_ports[a->target])) return false;
    buffer_clear(&a->h.bytes);
    add_hello(a, hello);
    hostile_send(&a->h, &c);
    while (size == 0) {
        ssize_t more = read(c.fd, bytes + got, sizeof bytes - got);
        if (more <= 0) break;
        got += (size_t)more;
        if (peer_frame_next(slice_make(bytes, got), sizeof bytes, &size) != HF_OK) break;
    }
    wire_close(&c);
    return size > 0 && peer_frame_open(slice_make(bytes, size), &kind, &body) == HF_OK &&
           kind == PEER_FRAME_ANSWER && peer_answer_read(body, answer) == HF_OK;
}

/* As nobody in particular. */
static bool learn_incarnation(struct attack *a, unsigned target)
{
    struct peer_answer answer;
    a->target = target;
    struct peer_hello hello = true_hello(a, (target + 1) % CLUSTER_PROCESSES);
    hello.incarnation = 1;
    if (!ask(a, &hello, &answer)) return false;
    a->incarnations[target] = answer.incarnation;
    return true;
}

/* What is said from inside is listened to, and what strangers say is not. */
static bool is_told_apart(struct attack *a)
{
    struct peer_answer stranger, member;
    struct peer_hello strange = strange_hello(a);
    struct peer_hello own = true_hello(a, (unsigned)other_target(a));
    if (!ask(a, &strange, &stranger) || !stranger.refused) return false;
    return ask(a, &own, &member) && !member.refused;
}

static bool all_run(struct attack *a)
{
    bool good = true;
    for (unsigned i = 0; i < CLUSTER_PROCESSES; i++) {
        struct server_process *s = &a->cluster.servers[i];
        if (waitpid(s->pid, NULL, WNOHANG) == 0) continue;
        s->pid = 0;
        good = false;
        fprintf(stderr, "server %u ended under the attack\n", i + 1);
    }
    return good;
}

static void attack_for(struct attack *a, void (*attack)(struct attack *), uint64_t ms)
{
    uint64_t until = now_ms() + ms;
    while (now_ms() < until && atomic_load(&a->good.errors) == 0) {
        memory_watch_look(&a->memory);
        a->target = (unsigned)prng_below(&a->h.prng, CLUSTER_PROCESSES);
        a->h.port = a->cluster.peer_ports[a->target];
        buffer_clear(&a->h.bytes);
        attack(a);
    }
}

/* Terms and leader are what they were. */
static bool is_unchanged(const struct attack *a, unsigned leader, uint64_t term)
{
    bool good = true;
    for (unsigned i = 0; i < CLUSTER_PROCESSES; i++) {
        struct cluster_status s = {0};
        bool answers = cluster_process_status(&a->cluster, i, &s);
        if (answers && s.term == term && s.leader == leader + 1) continue;
        fprintf(stderr, "server %u: answers=%d term %" PRIu64 ", leader %" PRIu64 "\n", i + 1,
                answers, s.term, s.leader);
        good = false;
    }
    return good;
}

static bool ends_well(struct attack *a)
{
    struct cluster_process *c = &a->cluster;
    bool good = all_run(a);
    if (!good || !cluster_process_agree(c)) return false;
    cluster_process_kill(c); /* and applies all of it again */
    if (!cluster_process_start(c)) return false;
    good = cluster_process_agree(c);
    good = cluster_process_stop(c) && good;
    for (unsigned i = 0; i < CLUSTER_PROCESSES; i++)
        good = whole_state_holds(&c->servers[i]) && good;
    return good;
}

static bool attack_all(struct attack *a, unsigned leader, uint64_t ms)
{
    struct cluster_status before;
    if (!cluster_process_status(&a->cluster, leader, &before)) return false;
    memory_watch_start(&a->memory, a->cluster.servers[leader].pid, ms / 1000);
    good_client_start(&a->good, a->cluster.servers[leader].port);
    attack_for(a, attack_as_stranger, ms * 3 / 4);
    bool good = good_client_stop(&a->good);
    good = memory_watch_is_bounded(&a->memory) && good;
    good = is_unchanged(a, leader, before.term) && good;
    uint64_t connections = a->h.connections;
    if (!is_told_apart(a)) good = false;
    attack_for(a, attack_from_inside, ms / 4);
    printf("connections=%" PRIu64 " from_inside=%" PRIu64 " sent_mb=%" PRIu64 "\n", connections,
           a->h.connections - connections, a->h.sent_bytes / 1000000);
    return good;
}

int main(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 5;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    static struct attack a;
    hostile_init(&a.h, 0, seed);
    cluster_process_init(&a.cluster, CLUSTER_PROCESSES);
    a.cluster.election_ms = "2000"; /* a busy machine holds no elections of its own */
    if (!cluster_process_start(&a.cluster) || !learn(&a)) return 1;
    bool good = true;
    for (unsigned i = 0; i < CLUSTER_PROCESSES; i++) good = learn_incarnation(&a, i) && good;
    sleep_ms(2000); /* every member's incarnation is recorded by then */
    printf("seconds=%" PRIu64 " seed=%" PRIu64 "\n", seconds, seed);
    good = good && attack_all(&a, cluster_process_leader(&a.cluster), seconds * 1000);
    hostile_close(&a.h);
    good = ends_well(&a) && good;
    cluster_process_close(&a.cluster, !good);
    return good ? 0 : 1;
}
