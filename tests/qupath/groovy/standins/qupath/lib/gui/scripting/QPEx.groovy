package qupath.lib.gui.scripting

import java.nio.file.Files
import java.nio.file.Paths
import qupath.lib.objects.PathObject
import standin.GeoJson
import standin.Session
import standin.StandinEntry
import standin.StandinGui
import standin.StandinHierarchy
import standin.StandinImage
import standin.StandinProject
import standin.StandinServer

/** Stand-in after QuPath's QPEx and QP, whose static methods every script can call. */
class QPEx {
    /** In another thread than the script's, QuPath gives the image in the viewer. */
    static StandinImage getCurrentImageData() {
        return Thread.currentThread().is(Session.thread) ? Session.image : Session.gui?.imageData
    }

    static StandinServer getCurrentServer() {
        def server = getCurrentImageData()?.getServer()
        if (server?.damaged)
            throw new RuntimeException('Failed to load ImageServer')
        return server
    }

    static StandinHierarchy getCurrentHierarchy() {
        return getCurrentImageData()?.getHierarchy()
    }

    static StandinProject getProject() {
        return Session.project
    }

    static StandinEntry getProjectEntry() {
        return Session.project?.entries?.find { it.data.is(getCurrentImageData()) }
    }

    static StandinGui getQuPath() {
        return Session.gui
    }

    static void fireHierarchyUpdate() {
        getCurrentHierarchy().changed()
    }

    static void exportObjectsToGeoJson(
            Collection<? extends PathObject> objects, String path, String option, String... more) throws IOException {
        assert option == 'FEATURE_COLLECTION' && more.length == 0
        Files.newOutputStream(Paths.get(path)).withCloseable { GeoJson.write(it, objects) }
    }
}
