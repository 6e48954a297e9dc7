/*
 * slidemitosis in QuPath 0.4 to 0.8: export the candidate mitoses of an image for "slidemitosis cohort". For research
 * use only.
 *
 * Use "Run for project", or QuPath script -p project.qpproj export_candidates.groovy, for all images.
 *
 * Which objects: those of CANDIDATE_CLASS and its derived classes, such as "Mitosis: Atypical"; an image without any
 * gets an empty file, since a slide without mitoses is part of a cohort. Also those that were candidates of a run
 * until a person gave them another class, such as "Non-mitosis": that is an answer, which counts.
 *
 * What it writes, in the folder "slidemitosis" of the project: candidates/<id of the image>.geojson, and a row in
 * cohort.csv with the columns
 *     slide,points,image,entry_id,viewer_size,viewer_server,mpp_x,mpp_y
 * "points" is relative to cohort.csv; "viewer_size" (46000x32914) and "viewer_server" are what QuPath states of its
 * image: by them slidemitosis tells where its coordinates count from. um/px are empty where QuPath knows none. When an
 * image is exported again, its row is replaced; other columns and rows are left alone. status.csv has a row for each
 * image: done, or failed and why.
 */

import groovy.transform.Field
import java.nio.file.Files

import static qupath.lib.gui.scripting.QPEx.*

// ---- Settings. What stands here is used, and nothing else is remembered.

/** The class of the objects to export. Unclassified: those without one. */
@Field String CANDIDATE_CLASS = 'Mitosis'

// ---- What is done.

@Field String SCRIPT = 'export_candidates'
@Field List<String> COLUMNS = [
    'slide', 'points', 'image', 'entry_id', 'viewer_size', 'viewer_server', 'mpp_x', 'mpp_y',
]

reported { Map place -> exportCandidates(place) }

String exportCandidates(Map place) {
    def image = checkedImage(place)
    refuseOutsideProject(place)
    refuseUnreadable(place)
    def objects = candidateObjects(CANDIDATE_CLASS)
    def points = "candidates/${fileName(place.id)}.geojson".toString()
    writeObjects(objects, new File(place.folder, points))
    replaceRows(new File(place.folder, 'cohort.csv'), COLUMNS, [entry_id: place.id], 'entry_id',
        [manifestRow(place.id, place.name, image, points)])
    def others = objects.isEmpty() ? "; the classes here: ${classCounts()}" : ''
    return "${objects.size()} objects of class ${CANDIDATE_CLASS} exported for the cohort${others}".toString()
}

Map manifestRow(String id, String name, Map image, String points) {
    return [
        slide: image.slide.getPath(), points: points, image: name, entry_id: id,
        viewer_size: "${image.width}x${image.height}", viewer_server: image.server,
        mpp_x: Double.isNaN(image.mppX) ? '' : image.mppX, mpp_y: Double.isNaN(image.mppY) ? '' : image.mppY,
    ]
}

/** Write objects whole or not at all; QuPath alone would leave half a file where it fails. */
void writeObjects(Collection objects, File file) {
    makeFolder(file.getParentFile())
    // The ending stays, since QuPath compresses by it.
    def partial = new File(file.getParentFile(), ".partial-${file.getName()}")
    try {
        exportObjectsToGeoJson(objects, partial.getAbsolutePath(), 'FEATURE_COLLECTION')
        moveWhole(partial, file)
    } finally {
        Files.deleteIfExists(partial.toPath())
    }
}

// parts: objects, classes, calls, project, saved, image, report, batch, files
