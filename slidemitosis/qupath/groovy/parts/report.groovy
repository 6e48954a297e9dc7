/** Do the work, which returns what was done (null: nothing) or throws; say that, show it and keep it in status.csv. */
void reported(Closure<String> work) {
    def place = whereWeAre()
    try {
        def done = work.call(place)
        if (done == null)
            return
        writeStatus(place, 'done', done)
        say(done)
        if (place.alone)
            show { it.showInfoNotification('slidemitosis', done) }
    } catch (InterruptedException e) {
        writeStatus(place, 'failed', 'cancelled')
        say('cancelled; nothing was changed')
        throw e
    } catch (Exception e) {
        // The one place that catches broadly: QuPath goes on to the next image and forgets why this one failed.
        def known = e instanceof IllegalStateException || e instanceof IOException
        def reason = known && e.getMessage() ? e.getMessage() : e.toString()
        writeStatus(place, 'failed', reason)
        say("failed: ${reason}")
        if (place.alone)
            show { it.showErrorMessage('slidemitosis', reason) }
        if (!place.alone || !known)
            throw e
    }
}

/** Throw a reason, in one line. It never has a cause: QuPath would show the message of the cause instead. */
void refuse(CharSequence reason) {
    throw new IllegalStateException(reason.toString())
}

void say(CharSequence text) {
    println "slidemitosis: ${text}"
}

/**
 * Call `action` with QuPath's dialogs. Their package has moved, so QuPath's default imports must name it; without these
 * the log is enough.
 */
void show(Closure action) {
    try {
        action.call(Dialogs)
    } catch (MissingPropertyException ignored) {
        say('(turn on "Include default imports" in the script editor to see this as a dialog)')
    }
}

void writeStatus(Map place, String outcome, String reason) {
    if (place.folder == null)
        return
    def row = [
        script: SCRIPT, entry_id: place.id, image: place.name, outcome: outcome, what: reason,
        time: java.time.LocalDateTime.now().withNano(0).toString(),
    ]
    try {
        replaceRows(new File(place.folder, 'status.csv'), ['script', 'entry_id', 'image', 'outcome', 'what', 'time'],
            [script: SCRIPT, entry_id: place.id], 'entry_id', [row])
    } catch (IOException | IllegalStateException e) {
        say("status.csv could not be written: ${e.getMessage()}")
    }
}
