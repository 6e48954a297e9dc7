package qupath.lib.projects

import standin.StandinProject

/** Stand-in after QuPath's Projects. */
class Projects {
    static File getBaseDirectory(StandinProject project) {
        return project.folder
    }
}
