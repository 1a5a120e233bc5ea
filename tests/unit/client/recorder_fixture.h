/* What the tests of recorded histories share: a script per test, whose lines are kept and looked at
 * one by one, by a clock that is another one than the client's. */
#ifndef TESTS_UNIT_CLIENT_RECORDER_FIXTURE_H
#define TESTS_UNIT_CLIENT_RECORDER_FIXTURE_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "tests/unit/client/scripted.h"
#include "tests/unit/cmocka_all.h"

static struct script s;

/* The lines that were recorded. */
static struct {
    struct recorder_sink sink;
    struct buffer text;
    size_t seen;  /* bytes that a test has looked at */
    bool broken;  /* a line was left out */
    uint64_t ids; /* lines looked at */
} h;

/* The history's clock is another one than the client's. */
static inline uint64_t at(uint64_t now_ns)
{
    return now_ns - 999 * SEC;
}

static inline uint64_t now(void *data)
{
    (void)data;
    return at(s.now_ns);
}

static inline void keep(void *data, struct slice line)
{
    (void)data;
    assert_int_equal(buffer_append(&h.text, line.data, line.size), HF_OK);
}

static inline void note_broken(void *data)
{
    (void)data;
    h.broken = true;
}

static inline int setup(void **state)
{
    (void)state;
    memset(&h, 0, sizeof h);
    h.sink = (struct recorder_sink){.now_cb = now, .line_cb = keep, .broken_cb = note_broken};
    buffer_init(&h.text, 64 * 1024 * 1024);
    script_open_recorded(&s, "a:1", 10000, &h.sink);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    script_close(&s);
    buffer_close(&h.text);
    assert_false(h.broken);
    return 0;
}

/* The next line is this one; `format` is the line from "op" on. */
__attribute__((format(printf, 2, 3))) static inline void expect(const char *model,
                                                                const char *format, ...)
{
    char rest[1024];
    char line[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(rest, sizeof rest, format, args);
    va_end(args);
    h.ids += 1;
    int size =
        snprintf(line, sizeof line, "{\"v\":2,\"model\":\"%s\",\"id\":%" PRIu64 ",\"op\":%s}\n",
                 model, h.ids, rest);
    assert_true(size > 0 && (size_t)size < sizeof line);
    const char *got = (const char *)h.text.data + h.seen;
    if (h.text.size - h.seen < (size_t)size || memcmp(got, line, (size_t)size) != 0)
        fail_msg("got %.*swant %s", (int)(h.text.size - h.seen), got, line);
    h.seen += (size_t)size;
}

/* Times as they stand in a line, of moments of the client's clock. */
#define TIMES(call_ns, ret_ns) at(call_ns), at(ret_ns)
#define CALLED                 "\"call\":%" PRIu64 ",\"ret\":%" PRIu64
#define OPEN                   "\"call\":%" PRIu64 ",\"ret\":null,\"outcome\":\"unknown\""
#define OWNER                  "\"owner\":\"77/%" PRIu64 "\""

static inline void expect_no_line(void)
{
    if (h.seen < h.text.size)
        fail_msg("got %.*s", (int)(h.text.size - h.seen), (const char *)h.text.data + h.seen);
}

static inline struct request *first_acquire(struct call **call, enum call_fate fate)
{
    *call = script_acquire(&s, 0, 0, fate);
    script_open_session(&s);
    return script_expect(&s, OP_CODE_ACQUIRE);
}

static inline void expect_acquired(const char *client, uint64_t call_ns, uint64_t owner,
                                   uint64_t token)
{
    expect("lock",
           "\"acquire\",\"key\":\"a\",\"client\":\"test/%s\"," CALLED
           ",\"outcome\":\"ok\",\"args\":{\"ttl_ms\":10000," OWNER
           "},\"result\":{\"token\":%" PRIu64 ",\"count\":1}",
           client, TIMES(call_ns, s.now_ns), owner, token);
}

/* Hold "a"; its line was looked at. \return its owner */
static inline uint64_t hold(uint64_t token, uint64_t hold_ms, struct grant_ref *ref)
{
    struct call *call = script_acquire(&s, 0, hold_ms, FATE_CANCEL);
    uint64_t owner = call->owner;
    if (s.core.link.state != LINK_READY) script_open_session(&s);
    struct request *acquire = script_expect(&s, OP_CODE_ACQUIRE);
    uint64_t sent_ns = s.now_ns;
    script_pass(&s, 1 * MS);
    script_grant(&s, acquire, token);
    if (hold_ms == 0) expect_acquired("0", sent_ns, owner, token);
    *ref = call->grant;
    script_finish(&s, call, HF_OK);
    return owner;
}

static inline struct call *submit(uint16_t op, const void *request, enum call_fate fate)
{
    struct call *call;
    assert_int_equal(core_call_new(&s.core, op, request, &call), HF_OK);
    call->fate = fate;
    call->wants_reply = true;
    core_submit(&s.core, call, s.now_ns + 5 * SEC, s.now_ns);
    return call;
}

static inline struct call *release(struct grant_ref ref)
{
    struct slot *slot = grants_alive(&s.core.grants, ref);
    struct msg_release release = {.fencing_token = slot->token, .owner = slot->owner};
    core_forget_grant(&s.core, ref);
    return submit(OP_CODE_RELEASE, &release, FATE_REPEAT_SURE);
}

static inline struct request *next_keep(void)
{
    script_pass(&s, 3400 * MS);
    return script_expect(&s, OP_CODE_KEEP);
}

static inline uint64_t keep_sent_ns(void)
{
    return s.core.session.send_ns;
}

#endif
