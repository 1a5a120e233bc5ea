#include "tests/unit/raft/driver_rig.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "tests/unit/cmocka_all.h"

static int persist(void *data, uint64_t term, uint64_t voted_for)
{
    struct rig *rig = data;
    if (rig->persist_status != HF_OK) return rig->persist_status;
    assert_true(term >= rig->term);
    rig->term = term;
    rig->voted_for = voted_for;
    rig->persists += 1;
    return HF_OK;
}

static int append(void *data, const struct log_entry *entries, size_t count)
{
    struct rig *rig = data;
    for (size_t i = 0; i < count; i++) {
        assert_true(entries[i].index == rig->appended + 1);
        rig->appended = entries[i].index;
    }
    return HF_OK;
}

static int truncate_log(void *data, uint64_t index)
{
    struct rig *rig = data;
    assert_true(index > rig->applied && index <= rig->appended);
    rig->appended = index - 1;
    rig->truncates += 1;
    return HF_OK;
}

static void send_message(void *data, const struct message *m)
{
    struct rig *rig = data;
    if (rig->sent_count == RIG_MESSAGES_MAX) return;
    struct message *kept = &rig->sent[rig->sent_count++];
    *kept = *m;
    if (m->type != MESSAGE_APPEND) return;
    for (uint32_t i = 0; m->append.entries != NULL && i < m->append.count; i++) {
        assert_true(m->append.entries[i].index == m->append.previous_index + 1 + i);
    }
    kept->append.entries = NULL;
}

static int apply(void *data, const struct log_entry *entry)
{
    struct rig *rig = data;
    if (rig->apply_status != HF_OK) return rig->apply_status;
    assert_true(entry->index == rig->applied + 1);
    assert_true(entry->index < RIG_APPLIED_MAX);
    rig->applied = entry->index;
    rig->applied_types[entry->index] = entry->type;
    return HF_OK;
}

static void changed(void *data)
{
    struct rig *rig = data;
    rig->changes += 1;
}

struct slice rig_configuration(unsigned slot, unsigned voters, uint64_t extra, uint8_t role)
{
    static struct buffer encoded[8];
    static char names[16][16];
    struct configuration_server servers[16];
    unsigned count = 0;
    for (; count < voters; count++) {
        snprintf(names[count], sizeof names[count], "n%u", count + 1);
        servers[count] = (struct configuration_server){count + 1, names[count], SERVER_VOTER};
    }
    if (extra != 0) {
        snprintf(names[count], sizeof names[count], "n%u", (unsigned)extra);
        servers[count] = (struct configuration_server){extra, names[count], role};
        count += 1;
    }
    assert_true(slot < 8);
    buffer_close(&encoded[slot]);
    buffer_init(&encoded[slot], 4096);
    assert_int_equal(configuration_encode(servers, count, &encoded[slot]), HF_OK);
    assert_true(configuration_check(buffer_slice(&encoded[slot])));
    return buffer_slice(&encoded[slot]);
}

static void make_driver(struct rig *rig)
{
    struct driver_config config = {
        .id = 1,
        .address = "n1",
        .seed = 7,
        .election_ms = DRIVER_ELECTION_MS_DEFAULT,
        .heartbeat_ms = DRIVER_HEARTBEAT_MS_DEFAULT,
        .entries = &rig->entries,
        .ports =
            {
                .persist_term_vote = persist,
                .append = append,
                .truncate = truncate_log,
                .send = send_message,
                .apply = apply,
                .changed = changed,
                .data = rig,
            },
    };
    assert_int_equal(driver_new(&config, &rig->driver), HF_OK);
}

void rig_init(struct rig *rig, unsigned voters)
{
    memset(rig, 0, sizeof *rig);
    rig->now_ms = 1000;
    entries_init(&rig->entries, 1, 1 << 20);
    make_driver(rig);
    if (voters == 0) return;
    struct log_entry first = {1, 1, LOG_CHANGE, rig_configuration(0, voters, 0, 0)};
    entries_append(&rig->entries, &first);
    rig->appended = 1;
    rig->term = 1;
}

void rig_start(struct rig *rig)
{
    struct driver_mark none = {0};
    assert_int_equal(driver_start(rig->driver, rig->now_ms, rig->term, rig->voted_for, &none),
                     HF_OK);
}

void rig_sync(struct rig *rig)
{
    assert_int_equal(driver_persisted(rig->driver, rig->now_ms, rig->appended), HF_OK);
}

void rig_timeout(struct rig *rig)
{
    uint64_t next = driver_next_timeout(rig->driver);
    if (next > rig->now_ms) rig->now_ms = next;
    assert_int_equal(driver_tick(rig->driver, rig->now_ms), HF_OK);
}

void rig_elect(struct rig *rig)
{
    for (int i = 0; i < 10 && driver_state(rig->driver) != DRIVER_LEADER; i++) {
        rig->sent_count = 0;
        rig_timeout(rig);
        for (unsigned k = 0; k < rig->sent_count; k++) {
            struct message asked = rig->sent[k];
            if (asked.type != MESSAGE_VOTE) continue;
            struct message answer = {
                .type = MESSAGE_VOTE_RESULT,
                .peer = asked.peer,
                .address = asked.address,
                .term = asked.term,
            };
            answer.vote_result.granted = true;
            answer.vote_result.pre_vote = asked.vote.pre_vote;
            assert_int_equal(driver_receive(rig->driver, rig->now_ms, &answer), HF_OK);
            if (driver_state(rig->driver) == DRIVER_LEADER) break;
        }
    }
    assert_int_equal(driver_state(rig->driver), DRIVER_LEADER);
}

int rig_append(struct rig *rig, uint64_t peer, uint64_t term, uint64_t previous,
               uint64_t previous_term, uint64_t commit, const struct log_entry *entries,
               uint32_t count)
{
    struct message m = {.type = MESSAGE_APPEND, .peer = peer, .address = "n2", .term = term};
    m.append = (struct message_append){previous, previous_term, commit, count, entries};
    return driver_receive(rig->driver, rig->now_ms, &m);
}

const struct message *rig_last(const struct rig *rig, uint8_t type)
{
    for (unsigned i = rig->sent_count; i > 0; i--) {
        if (rig->sent[i - 1].type == type) return &rig->sent[i - 1];
    }
    return NULL;
}

void rig_close(struct rig *rig)
{
    driver_free(rig->driver);
    entries_close(&rig->entries);
}
