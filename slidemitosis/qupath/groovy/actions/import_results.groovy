/*
 * slidemitosis in QuPath 0.4 to 0.8: bring results that were computed elsewhere, by "slidemitosis classify" or
 * "slidemitosis cohort", into the image that is open. For research use only.
 *
 * Which results: those of the first argument, if there is one (an objects.geojson, or a folder of results, or a
 * folder that holds such folders, such as that of a cohort); else, if a person runs it, those that are chosen in a
 * dialog; else, under "Run for project" and on the command line, those of the last run on this image.
 *
 * What it does: the same objects, found by their ids, get class, measurements and, from QuPath 0.6, metadata. Objects
 * that were deleted since stay so; candidates from elsewhere are added to an image that has none of them. A points
 * object is replaced if each of its points has come back as an object of its own. In a project the image gets metadata,
 * as by classify_image.groovy.
 *
 * What it refuses: results of another image, with another origin, or without the summary.json that says these.
 */

import groovy.transform.Field
import javafx.stage.FileChooser

import static qupath.lib.gui.scripting.QPEx.*

// ---- Settings.

/** Whether a class that was set by hand stays where it differs from what the last run said. */
@Field boolean KEEP_CORRECTIONS = true

// ---- What is done.

@Field String SCRIPT = 'import_results'

reported { Map place -> importResults(place) }

String importResults(Map place) {
    def image = checkedImage(place)
    refuseUnsaved(place)
    refuseUnreadable(place)
    settleRun(place)
    def folder = chosenFolder(place, image)
    if (folder == null)
        return null
    def file = new File(folder, 'summary.json')
    if (!file.isFile())
        refuse("${folder}: has no summary.json, so that nothing says of which slide these results are; take the " +
            'whole folder that slidemitosis wrote')
    def summary = readJson(file)
    def named = namedEntry(summary)
    refuseOtherImage(summary, image, named != null && named == fileName(place.id))
    return takeResults(place, folder, summary, [which: 'imported', fromQuPath: named != null, slide: image.slide])
}

/** Return the folder of the results to take; null where a person has chosen none. */
File chosenFolder(Map place, Map image) {
    def words = attribute('args')
    def usual = resultFolder(place, image.slide)
    if (words != null && words.length > 0)
        return folderOf(new File(words[0]), place, image)
    if (!place.alone)
        return usual
    def chosen = askForFile(usual)
    return chosen == null ? null : folderOf(chosen, place, image)
}

/** Return the folder that is meant: of a file, of results, or the one of this image among folders of results. */
File folderOf(File chosen, Map place, Map image) {
    if (chosen.isFile() && chosen.getName() != 'objects.geojson')
        refuse("${chosen}: is not an objects.geojson of slidemitosis; choose that, or its folder")
    if (chosen.isFile())
        return chosen.getAbsoluteFile().getParentFile()
    if (!chosen.isDirectory())
        refuse("${chosen}: no such file or folder")
    if (new File(chosen, 'objects.geojson').isFile())
        return chosen
    // The results of a cohort are in its folder "slides".
    def folders = [chosen, new File(chosen, 'slides')].collectMany { (it.listFiles() ?: []) as List }
    def found = resultsOf(folders.findAll { new File(it, 'summary.json').isFile() }, place, image)
    if (found.size() != 1)
        refuse("${chosen}: ${found.size()} of the folders in it are results of ${image.slide.getName()} " +
            "(${found.collect { it.getName() }.sort().join(', ') ?: 'none'}); choose the one that is meant")
    return found[0]
}

/**
 * Return the folders of results that are of this image: those whose candidates were exported from this very image of
 * the project, or else those of its slide whose candidates came from elsewhere.
 */
List<File> resultsOf(List<File> folders, Map place, Map image) {
    def summaries = folders.collectEntries { [it, readJson(new File(it, 'summary.json'))] }
    def own = place.id.isEmpty() ? null : fileName(place.id)
    def ofSlide = summaries.findAll { folder, summary ->
        isSameSlide(summary, image.slide, own != null && namedEntry(summary) == own)
    }
    def exported = ofSlide.findAll { folder, summary -> own != null && namedEntry(summary) == own }
    def others = ofSlide.findAll { folder, summary -> own == null || namedEntry(summary) == null }
    return new ArrayList((exported ?: others).keySet())
}

/** Return the image of a project, by its file name, that the candidates were exported from; null if from elsewhere. */
String namedEntry(Map summary) {
    def path = summary.points instanceof Map ? summary.points.path : null
    def parts = path == null ? [] : path.toString().split('[/\\\\]') as List
    if (parts.size() > 1 && parts[-2] == 'candidates' && parts[-1].endsWith('.geojson'))
        return parts[-1] - '.geojson'
    return parts.size() > 2 && parts[-3] in ['results', 'work'] && parts[-1] == 'points.geojson' ? parts[-2] : null
}

/** Return the file that a person chooses, or null. */
File askForFile(File start) {
    return inWindows {
        def chooser = new FileChooser()
        chooser.setTitle('objects.geojson of slidemitosis')
        if (start.isDirectory())
            chooser.setInitialDirectory(start)
        chooser.showOpenDialog(getQuPath().getStage())
    }
}

// parts: window, progress, outcome, shown, classes, calls, summary, results, updates, saved, image, report, batch,
// files
