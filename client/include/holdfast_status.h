/* holdfast_status.h: what the calls of holdfast.h answer, and what to do then. holdfast.h includes
 * it. HF_OK is 0, everything else is negative. */
#ifndef HOLDFAST_STATUS_H
#define HOLDFAST_STATUS_H

#if defined(__GNUC__)
#define HF_API       __attribute__((visibility("default")))
#define HF_NODISCARD __attribute__((warn_unused_result))
#else
#define HF_API
#define HF_NODISCARD
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Every status a call may return. Numbers never change. */
enum hf_status {
    HF_OK = 0,
    /* locks */
    HF_EBUSY = -1,         /**< Another owner held the lock. Nothing changed: try later, or wait. */
    HF_EWAITTIMEOUT = -2,  /**< wait_ms passed, and it was never ours. Nothing changed. */
    HF_EDELAYED = -3,      /**< Its last holder was lost and the lock-delay runs. Try later. */
    HF_EDEADLOCK = -4,     /**< Waiting would close a cycle of owners. Release something first. */
    HF_EALREADY = -5,      /**< This handle holds the lock already. Nothing changed. */
    HF_EOWNERWAITING = -6, /**< This handle waits already. Use one handle a thread. */
    HF_ELIMIT = -7,        /**< The name is in use with another mode or limit. Nothing changed. */
    HF_EFROZEN = -8,       /**< An administrator froze the name. Try after the thaw. */
    HF_EQUOTA = -9,     /**< A limit of docs/contract.md section 9 is reached. Nothing changed. */
    HF_ENOTOWNER = -10, /**< The grant belongs to another handle. Nothing changed. */
    HF_ESTALE = -11,    /**< The token is no longer current: your work was NOT protected to its
                             end; the resource must have refused it. */
    HF_ENOTHELD = -12,  /**< Nobody holds it under this token; as HF_ESTALE. */
    HF_EUPGRADEBUSY = -13, /**< Others share the lock. Nothing changed. */
    /* requests and sessions */
    HF_ECANCELLED = -20,      /**< The request was cancelled: no effect, now or later. */
    HF_ESEQREUSED = -21,      /**< A defect in the library: report it. Nothing changed. */
    HF_EREPLYGONE = -22,      /**< The answer is no longer kept: look at the state instead. */
    HF_ESESSION = -23,        /**< The session ended; all its grants are gone, this request was not
                                   applied. The next call opens a new session. */
    HF_ESESSIONUNKNOWN = -24, /**< The session ended long ago; whether the request was applied is
                                   no longer known. The next call opens a new session. */
    HF_EUNACKED = -25,        /**< Too many requests in flight in this session. Try again. */
    HF_ESECRET = -26,         /**< The session's secret does not match: a defect, report it. */
    /* records */
    HF_EMISMATCH = -30,      /**< The key was used with another fingerprint: another request. Refuse
                                  it to your caller; never run it. */
    HF_ERECORDUNKNOWN = -31, /**< An attempt died past a mark: its effect may have happened. Ask the
                                  provider, then hf_record_resolve(). Never run it again blindly. */
    HF_EKEYTOOOLD = -32,     /**< born_ms lies before what the cluster remembers. Do not run it. */
    HF_EKEYEXPIRED = -33,    /**< It was done; its result is no longer kept. Do not run it. */
    HF_EGUARDSTALE = -34,    /**< The guarding grant is no longer current. Nothing was begun. */
    HF_ESEQOLD = -35,        /**< A checkpoint's number must rise. Nothing changed. */
    HF_ECONFLICT = -36, /**< This attempt was completed with another result. That one stands. */
    HF_ERUNNING = -37,  /**< Another attempt runs. Try later, or wait. */
    HF_EBADSTATE = -38, /**< The record's state does not allow this. Nothing changed. */
    HF_ENOTFOUND = -39, /**< Nothing is stored under this name. */
    /* timers */
    HF_EFIRED = -100,          /**< The timer has fired: its consumers have it, or had it. */
    HF_ETIMERCANCELLED = -101, /**< This version of the timer was cancelled. Nothing changed. */
    /* transactions */
    HF_ENOTACCEPTED = -102, /**< An op of a TXN was answered otherwise than accepted. Nothing of
                                 the TXN was done. */
    /* events */
    HF_EGAP = -103, /**< Events were missed. Read anew what was derived from them; then go on. */
    /* administration */
    HF_ECHANGED = -45, /**< A setting is no longer as expected. Nothing changed. */
    /* refused at the door, or weather */
    HF_EBADREQUEST = -50, /**< The server does not accept the request's form. Nothing changed. */
    HF_ETOOLARGE = -51,   /**< Over a limit; for a result: complete it without its body. */
    HF_ENOSPACE = -52,    /**< The servers' disks are nearly full; only what frees is accepted. */
    HF_ETOOBUSY = -53,    /**< The server sheds load. Try later. Nothing changed. */
    HF_ENOTLEADER = -54,  /**< No server leads just now. Try again. Nothing changed. */
    HF_EUNKNOWN = -55,    /**< No answer in time: it may or may not have happened. hf_request. */
    HF_ESUPERSEDED = -56, /**< Another process resumed this session: a copied client. */
    HF_ECONNECT = -57,    /**< No server could be reached. Nothing was sent. */
    HF_EVERSION = -58,    /**< Server and library have no protocol version in common. */
    HF_ESHUTDOWN = -59,   /**< The server is stopping. Try again. Nothing changed. */
    HF_ETIMEOUT = -60,    /**< The local time-out passed. Nothing of it stays: what may
                               have arrived is being cancelled. */
    HF_ELOST = -61,       /**< The local deadline has passed: the grant or attempt was declared
                               lost and is being given back. As HF_ESTALE; from an acquire or a
                               begin: it was ours, but too late to be used. */
    HF_EINVAL = -62,      /**< An argument is out of its range. Nothing was sent. */
    HF_ECLOSED = -63,     /**< The handle was closed, or belongs to a parent process. */
    HF_ENOKEY = -64,      /**< The secret that the record names is not known to this client. Send
                               nothing to the provider; leave it to one that knows it. */
    HF_EBREAKER = -65,    /**< No server has answered for options.breaker_after_ms: not sent. Try
                               again in options.breaker_open_ms, or do without. */
    /* the barrier of TCC and sagas */
    HF_ENOTRY = -90,    /**< No try of this branch succeeded. Do not confirm it: cancel it. */
    HF_ENOTREADY = -91, /**< The branch's try has not ended. Confirm it later, or cancel it. */
    HF_EDECIDED = -92,  /**< The branch was decided the other way. Do nothing, and find out who
                             decided twice: a defect of the coordinator. */
    HF_EHANGING = -93,  /**< The branch was cancelled before this try came. Do not try it. */
    /* faults */
    HF_EIO = -80,       /**< A system call failed here. */
    HF_ECORRUPT = -81,  /**< The server answered bytes that do not check out. */
    HF_ENOMEM = -82,    /**< Out of memory. Nothing changed. */
    HF_EDISKFULL = -83, /**< A server's own: no client call returns it. */
    HF_ELOCKED = -84,   /**< A server's own: no client call returns it. */
    HF_EEXIST = -85,    /**< A server's own: no client call returns it. */
    HF_EINTERNAL = -86, /**< A defect: report it. Take it as HF_EUNKNOWN. */
    HF_EDIVERGED = -87  /**< A server's own: no call returns it. */
};

/** One lower-case sentence for a status, static. Any thread. */
HF_API const char *hf_status_text(int status);

/** The contract's word for a status ("BUSY"), static. Any thread. */
HF_API const char *hf_status_name(int status);

#ifdef __cplusplus
}
#endif

#endif
