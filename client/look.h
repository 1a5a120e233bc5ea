/* Reads as the public header offers them: asked, decoded and shown, page after page where there are
 * several. look_lock.c, look_record.c and admin.c know what each asks and shows; look.h's functions
 * run it, on the caller's thread (blocking) or on the I/O thread. One struct a read, freed when it
 * has ended. */
#ifndef CLIENT_LOOK_H
#define CLIENT_LOOK_H

#include "client/include/holdfast_admin.h"
#include "client/include/holdfast_lock.h"
#include "client/include/holdfast_record.h"
#include "client/include/holdfast_tcc.h"
#include "client/include/holdfast_timer.h"
#include "client/include/holdfast_watch.h"
#include "client/raw.h"
#include "client/shell.h"

/** A NUL-terminated copy. \param room  of `to`, in bytes. \return `to`. */
static inline const char *look_copy(char *to, size_t room, struct slice text)
{
    HF_ASSERT(text.size < room); /* the decoder's promise */
    if (text.size > 0) memcpy(to, text.data, text.size);
    to[text.size] = '\0';
    return to;
}

/** NUL-terminated copies for one line. */
struct look_text {
    char name[NAME_BYTES_MAX + 1];        /**< lock or key */
    char checkpoint[NAME_BYTES_MAX + 1];  /**< record */
    char secret_id[NAME_BYTES_MAX + 1];   /**< likewise */
    char client_name[NAME_BYTES_MAX + 1]; /**< whose */
    char peer[ADDRESS_BYTES_MAX + 1];     /**< from where */
};

/** The keys that a list of records derives for each line. */
struct look_steps {
    uint32_t count;                               /**< of them */
    char names[HF_STEPS_MAX][NAME_BYTES_MAX + 1]; /**< the steps */
    char derived[HF_STEPS_MAX][HF_DERIVED_BYTES]; /**< of the present line */
    const char *keys[HF_STEPS_MAX];               /**< the same, as the caller sees them */
};

struct look {
    struct list link;                  /**< in client->looks, unless it blocks */
    hf_client *client;                 /**< whose */
    uint64_t id;                       /**< of its hf_call; LOOK_ID is set in it */
    hf_call page;                      /**< the call under way */
    bool cancelled;                    /**< ask for no further page */
    uint16_t op;                       /**< enum op_code */
    uint64_t wait_ms;                  /**< WATCH: how long a server may wait; else 0 */
    struct buffer reply;               /**< of the last page, encoded; owned */
    struct arena arena;                /**< for its decoding; owned */
    int (*show_cb)(struct look *look); /**< decodes `reply` and shows it; RAW_MORE: another page */
    hf_done_cb done_cb;                /**< the caller's, unless it blocks */
    void *data;                        /**< handed to it */
    union {
        struct msg_check check;
        struct msg_info info;
        struct msg_record_get get;
        struct msg_branch_get branch; /**< BRANCH_GET */
        struct msg_watch watch;       /**< WATCH */
        struct msg_config_get config; /**< CONFIG_GET */
        struct raw_pages pages;
    } ask;                                /**< what is asked, by op */
    char prefix[NAME_BYTES_MAX + 1];      /**< of a list, for all of its pages */
    char group[NAME_BYTES_MAX + 1];       /**< TIMER_LIST: likewise */
    char client_name[NAME_BYTES_MAX + 1]; /**< LIST: likewise */
    union {
        int (*lock_cb)(const hf_lock_line *line, void *data);     /**< LIST, INFO */
        void (*view_cb)(const hf_lock_view *view, void *data);    /**< INFO, whole */
        int (*record_cb)(const hf_record_line *line, void *data); /**< RECORD_LIST, RECORD_GET */
        int (*setting_cb)(const hf_setting *setting, void *data); /**< CONFIG_GET */
        int (*act_cb)(const hf_act *act, void *data);             /**< AUDIT */
        int (*timer_cb)(const hf_timer_line *line, void *data);   /**< TIMER_LIST */
        int (*branch_cb)(const hf_branch_line *line, void *data); /**< BRANCH_LIST, BRANCH_GET */
        int (*frozen_cb)(const hf_frozen *frozen, void *data);    /**< FROZEN_LIST */
        int (*event_cb)(const hf_event *event, void *data);       /**< WATCH */
        int (*events_cb)(const hf_events_prefix *prefix, void *data); /**< EVENT_PREFIXES */
    } each;                  /**< the caller's: shows a line */
    void *each_data;         /**< handed to it */
    hf_watch *watch;         /**< WATCH: the caller's */
    int *verdict;            /**< CHECK: the caller's */
    uint64_t *left_ms;       /**< CHECK: the caller's, or NULL */
    struct look_text text;   /**< of the present line */
    struct look_steps steps; /**< RECORD_LIST */
};

#define LOOK_ID (UINT64_C(1) << 63)

enum { LOOK_PAGE_ITEMS = 200 }; /**< asked for at once */

/** Keep a text of a list's request for all of its pages. \param text  NULL = empty.
 * \param out  Out: the copy. \retval HF_EINVAL it is too long. */
HF_MUST_USE
int look_keep(char to[NAME_BYTES_MAX + 1], const char *text, struct slice *out);

/** Make one. \param arena_bytes  room for an answer, copied and decoded. \retval HF_ENOMEM */
HF_MUST_USE
int look_new(hf_client *client, uint16_t op, size_t arena_bytes, int (*show_cb)(struct look *look),
             struct look **out);

/** Free it, as its making failed. \return `why`. */
HF_MUST_USE
int look_drop(struct look *look, int why);

/** The show_cb of lists that are read page by page. */
HF_MUST_USE
int look_show_page(struct look *look);

/** Run it to its end on this thread, and free it. \param made  what look_new() and the rest of its
 * making returned: if that was not HF_OK, `look` is not looked at. */
HF_MUST_USE
int look_run(struct look *look, int made);

/** Begin it; it ends on the I/O thread, and is freed then. Fails as look_run(): freed at once. */
HF_MUST_USE
int look_start(struct look *look, int made, hf_done_cb done_cb, void *data, hf_call *call);

/** Cancel the one of this id, or all, of those begun. The lock is held. \return false: none. */
bool look_cancel(hf_client *client, uint64_t id);
void look_cancel_all(hf_client *client);

#endif
