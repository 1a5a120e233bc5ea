/* Reads and door ops as the servers answer them, for programs of this repository that print more
 * than the public header offers (the command line, the checker). Not installed. */
#ifndef CLIENT_RAW_H
#define CLIENT_RAW_H

#include "client/include/holdfast.h"

#include "base/arena.h"
#include "base/assert.h"
#include "client/shell.h"
#include "protocol/messages.h"

enum { RAW_ARENA_BYTES = 2 * 1024 * 1024 }; /* room for the largest answer, copied and decoded */

/** Ask a server. Blocks up to the client's timeout_ms; opens a session only if the op wants one.
 * \param op       an op with OP_READ or OP_DOOR: STATUS, LIST, INFO, CHECK, RECORD_GET, ...
 * \param request  a struct of op_find(op)->request; borrowed.
 * \param arena    holds what the answer points to, until it is reset.
 * \param answer   Out: a struct of op_find(op)->answer. Written only on HF_OK.
 * \retval HF_EINVAL the request is out of its ranges; \retval HF_ECORRUPT the answer is;
 * \retval HF_ECONNECT, HF_ETIMEOUT no answer in time; \retval others the server's. */
HF_MUST_USE
int raw_call(hf_client *client, uint16_t op, const void *request, struct arena *arena,
             void *answer);

/* ------------------------------------------------------------------ in pieces */

/** Begin the same. \param wait_ms  how long the request itself lets the server wait.
 * \param reply  the answer's bytes once it has ended with HF_OK; initialized, owned by the caller,
 * must stay until then. \param to  borrowed. \retval others it was not begun. */
HF_MUST_USE
int raw_start(hf_client *client, uint16_t op, const void *request, uint64_t wait_ms,
              struct buffer *reply, const struct ending *to);

/** Begin it, and sleep until it has ended. \return what it answers. */
HF_MUST_USE
int raw_wait(hf_client *client, uint16_t op, const void *request, uint64_t wait_ms,
             struct buffer *reply);

/** Decode such an answer. \param arena  it is copied there first. */
HF_MUST_USE
int raw_decode(uint16_t op, const struct buffer *reply, struct arena *arena, void *answer);

/** What the list of branches shows of one that was read whole. Borrows from it. */
struct branch_line raw_branch_line(const struct msg_branch_info *info);

/** A list that is read page by page. */
struct raw_pages {
    uint16_t op; /**< LIST, RECORD_LIST, SESSION_LIST, TIMER_LIST, BRANCH_LIST or AUDIT */
    union {
        struct msg_list locks;                    /**< LIST */
        struct msg_record_list records;           /**< RECORD_LIST */
        struct msg_session_list sessions;         /**< SESSION_LIST */
        struct msg_timer_list timers;             /**< TIMER_LIST */
        struct msg_branch_list branches;          /**< BRANCH_LIST */
        struct msg_audit acts;                    /**< AUDIT */
    } request;                                    /**< for the next page */
    uint8_t kept[2][NAME_BYTES_MAX];              /**< its cursors' bytes; one, or two */
    int (*each_cb)(const void *line, void *data); /**< shows a line */
    void *data;                                   /**< handed to it */
};

enum { RAW_MORE = 1 };

/** Is this op's answer read page by page, by way of struct raw_pages? */
bool raw_is_list(uint16_t op);

/** Begin at the front. \param request  as raw_list()'s; what it points to must stay. */
void raw_pages_init(struct raw_pages *pages, uint16_t op, const void *request,
                    int (*each_cb)(const void *line, void *data), void *data);

/** Show a page. \retval HF_OK that was the end; \retval RAW_MORE ask for pages->request next. */
HF_MUST_USE
int raw_pages_show(struct raw_pages *pages, const struct buffer *reply, struct arena *arena);

/* ------------------------------------------------------------------ lists, the server */

/** Read a list to its end, page by page, each linearizable by itself. Blocks up to the client's
 * timeout_ms for each.
 * \param op       LIST, RECORD_LIST, RECORD_EXPORT, SESSION_LIST, TIMER_LIST or AUDIT.
 * \param request  a struct of op_find(op)->request; borrowed. Its cursor is where to begin: empty,
 *                 or 0, for the whole.
 * \param arena    holds one page after the other.
 * \param each_cb  called for each line, a struct lock_line, record_line, record_bytes,
 * session_line, timer_line or act_line, borrowed during the call; anything but 0 ends the list
 * there. \param data handed to each_cb. \retval HF_OK the end, or each_cb's. \retval others as
 * raw_call(): of the page that failed. */
HF_MUST_USE
int raw_list(hf_client *client, uint16_t op, const void *request, struct arena *arena,
             int (*each_cb)(const void *line, void *data), void *data);

/** The server that the client talks to, or tries next, as "host:port".
 * \param out  Out: NUL-terminated, at least ADDRESS_BYTES_MAX + 1 bytes.
 * \return true if a connection stands. */
bool raw_endpoint(hf_client *client, char *out);

#endif
