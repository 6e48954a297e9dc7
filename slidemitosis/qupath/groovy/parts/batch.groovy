import com.google.gson.Gson
import org.slf4j.LoggerFactory

import static qupath.lib.gui.scripting.QPEx.*

/** Note what became of an image of a batch; after the last one say it of all. */
void endImage(Map place, String outcome, String reason) {
    if (place.folder == null || place.alone)
        return
    def rows = batchRows(place) + [[id: place.id, name: place.name, outcome: outcome, what: reason]]
    // Between the images of a batch a script knows only what it has left in QuPath itself.
    System.setProperty(batchName(), new Gson().toJson([at: place.index, size: place.size, rows: rows]))
    if (isLastOfBatch(place))
        endBatch(place, rows)
}

String batchName() {
    return "slidemitosis.batch.${SCRIPT}".toString()
}

/** Return what became of the images of this batch so far. */
List<Map> batchRows(Map place) {
    def kept = System.getProperty(batchName())
    def former = kept == null ? null : new Gson().fromJson(kept, Map)
    // A script of QuPath's Workflow may hold several runs for each image; the last one counts.
    def goesOn = former != null && former.size == place.size && former.at <= place.index && place.index > 0
    return goesOn ? former.rows.findAll { it.id != place.id } : []
}

/** Return whether no image follows that QuPath can open. For one whose file is missing it may start no script. */
boolean isLastOfBatch(Map place) {
    def entries = new ArrayList(place.project.getImageList())
    if (place.index + 1 >= place.size)
        return true
    return place.size == entries.size() && entries.drop(place.index + 1).every { missingFile(it) != null }
}

/** Say what became of all images of a batch, those that were never begun too. */
void endBatch(Map place, List<Map> rows) {
    def missed = missedImages(place, rows)
    def failed = rows.findAll { it.outcome == 'failed' } + missed
    def done = rows.count { it.outcome == 'done' }
    def reasons = failed.groupBy { it.what }.collect { what, images -> "${images*.name.join(', ')} (${what})" }
    // Which images were ticked, QuPath tells no script.
    int others = Math.max(place.size - rows.size() - missed.size(), 0)
    if (others > 0)
        reasons << "${plural(others, 'image')} that QuPath could not open; see View > Show log".toString()
    int failures = failed.size() + others
    def counted = "${done} done, ${failures} failed${failures == 0 ? '' : ': '}".toString()
    def told = counted + reasons.join('; ')
    if (failures == 0)
        say(told)
    else
        LoggerFactory.getLogger('slidemitosis').error("${SCRIPT}: ${told}".toString())
    if (getQuPath() == null)
        exitWithError(failures > 0)
    else if (failures == 0)
        show { it.showInfoNotification('slidemitosis', told) }
    else
        show { it.showErrorNotification('slidemitosis', inLines(counted + shortened(reasons).join('; '))) }
}

/** Return as many reasons as a notification can hold. */
List<String> shortened(List<String> reasons) {
    return reasons.size() <= 5 ? reasons : reasons.take(4) + 'more: see View > Show log, or slidemitosis/status.csv'
}

/**
 * Write a row for each image for which QuPath has started no script, so that no "done" of an earlier run stands, and
 * return them: 0.6 starts none where the file is missing, 0.5 none where it cannot be opened either.
 */
List<Map> missedImages(Map place, List<Map> rows) {
    def begun = rows*.id as Set
    def whole = place.size == place.project.getImageList().size()
    def before = readTable(new File(place.folder, 'status.csv'), ['script', 'entry_id']).rows
        .findAll { it.script == SCRIPT }*.entry_id as Set
    def missed = new ArrayList(place.project.getImageList()).findAll { !begun.contains(it.getID().toString()) }
        .findAll { whole || before.contains(it.getID().toString()) && missingFile(it) != null }
    return missed.collect { entry ->
        def file = missingFile(entry)
        def reason = file == null ? cannotOpen(entry) : noSuchFile(file)
        writeStatusOf(place.folder, entry.getID().toString(), entry.getImageName(), 'failed', reason)
        [name: entry.getImageName(), what: reason]
    }
}

/** Without windows let QuPath, which ends with 0 whatever has failed, end with 1 if something has. */
void exitWithError(boolean failed) {
    if (!failed)
        return
    Runtime.getRuntime().addShutdownHook(new Thread({
        // What else QuPath does at its end is done meanwhile.
        Thread.sleep(2000)
        Runtime.getRuntime().halt(1)
    } as Runnable))
}
