package qupath.lib.gui.scripting

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
    static StandinImage getCurrentImageData() {
        return Session.image
    }

    static StandinServer getCurrentServer() {
        return Session.image?.server
    }

    static StandinHierarchy getCurrentHierarchy() {
        return Session.image?.hierarchy
    }

    static StandinProject getProject() {
        return Session.project
    }

    static StandinEntry getProjectEntry() {
        return Session.project?.entries?.find { it.data.is(Session.image) }
    }

    static StandinGui getQuPath() {
        return Session.gui
    }

    static void fireHierarchyUpdate() {
        Session.events << 'hierarchy'
    }

    static void exportObjectsToGeoJson(
            Collection<? extends PathObject> objects, String path, String option, String... more) {
        assert option == 'FEATURE_COLLECTION' && more.length == 0
        GeoJson.write(new File(path), objects)
    }
}
