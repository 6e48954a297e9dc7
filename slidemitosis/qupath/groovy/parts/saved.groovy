import groovy.transform.Field
import java.nio.file.Files
import java.security.MessageDigest
import javafx.application.Platform
import qupath.lib.io.PathIO

import static qupath.lib.gui.scripting.QPEx.*

/** Copy the file of an image's objects, as it was before the first run, to data.qpdata.before-slidemitosis. */
void keepDataFile(Map place) {
    if (place.entry == null || place.entry.getEntryPath() == null)
        return
    def file = place.entry.getEntryPath().resolve('data.qpdata')
    def copy = file.resolveSibling('data.qpdata.before-slidemitosis')
    if (Files.isRegularFile(file) && !Files.exists(copy))
        copyWhole(file.toFile(), copy.toFile())
}

/** Throw if QuPath could not read the image's objects: it then shows none, and would save none over them. */
void refuseUnreadable(Map place) {
    if (place.entry == null || !place.entry.hasImageData() || !allObjects().isEmpty())
        return
    def file = place.entry.getEntryPath().resolve('data.qpdata')
    try {
        // QuPath waits for ever for the end of a file that was cut off; a pipe that ends nowhere is an error.
        Files.newInputStream(file).withCloseable { stream ->
            PathIO.readHierarchy(new SequenceInputStream(stream, new PipedInputStream()))
        }
    } catch (IOException | RuntimeException e) {
        keepDataFile(place)
        def reason = e.getMessage() == 'Pipe not connected' ? 'it was cut off' : e.getClass().getSimpleName()
        refuse("the objects of this image cannot be read from ${file} (${reason}); do not save the image, and put a " +
            'copy of that file in its place')
    }
}

/** Throw if a program runs this script on an image that QuPath will not save. */
void refuseUnsaved(Map place) {
    if (!place.alone && !place.saves)
        refuse('QuPath would not save what is found: add -s to the command (QuPath script -s -p ...), or choose ' +
            '"Run for project", not "Run for project (without saving)"; nothing was stored')
}

/** What follows the id of a run in the metadata of an image whose objects are not saved, or are of another run. */
@Field String NOT_SAVED = ', objects not saved'

/** Return the id of a run: the beginning of the SHA-256 of its summary.json. */
String runId(String summary) {
    def digest = MessageDigest.getInstance('SHA-256').digest(summary.getBytes('UTF-8'))
    return digest.encodeHex().toString().take(12)
}

/** Say in the image's metadata whether the objects that are in it are of the run that the metadata are of. */
void settleRun(Map place) {
    def stated = place.folder == null ? null : place.entry.getMetadataMap()['AMF run']
    if (stated == null)
        return
    def id = stated.replace(NOT_SAVED, '')
    def data = getCurrentImageData()
    def now = data.getProperty('slidemitosis.run') == id ? (data.isChanged() ? stated : id) : id + NOT_SAVED
    if (now != stated) {
        place.entry.putMetadataValue('AMF run', now)
        place.project.syncChanges()
    }
    if (data.getProperty('slidemitosis.run') != id)
        say("the image's metadata are of run ${id}, and its objects are not: that run was not saved")
}

/** Take "objects not saved" from the metadata once the image is saved; stop where it is closed without. */
void watchSaving(Map place, String id) {
    def data = getCurrentImageData()
    def gui = getQuPath()
    def settled = { ->
        if (gui.getProject().is(place.project) && place.entry.getMetadataMap()['AMF run'] == id + NOT_SAVED) {
            place.entry.putMetadataValue('AMF run', id)
            place.project.syncChanges()
        }
    }
    def thread = new Thread({
        while (data.isChanged() && isShown(gui, data))
            Thread.sleep(200)
        if (!data.isChanged() && data.getProperty('slidemitosis.run') == id)
            Platform.runLater(settled as Runnable)
    } as Runnable, 'slidemitosis saved')
    thread.setDaemon(true)
    thread.start()
}

boolean isShown(gui, data) {
    def viewers = gui.metaClass.respondsTo(gui, 'getAllViewers') ? gui.getAllViewers() : gui.getViewers()
    return new ArrayList(viewers).any { it.getImageData().is(data) }
}
