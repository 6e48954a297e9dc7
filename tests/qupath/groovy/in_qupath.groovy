/*
 * A script for QuPath itself: make a project of slides with objects, or say which objects a project has.
 *
 *     QuPath script in_qupath.groovy -a make -a FOLDER -a LIST     LIST: JSON, [{"slide", "objects", "parents"}, ...]
 *     QuPath script in_qupath.groovy -a dump -a FOLDER -a OUT      OUT: JSON, [[{"feature", "parent"}, ...], ...]
 */

import com.google.gson.JsonParser
import java.awt.image.BufferedImage
import qupath.lib.common.GeneralTools
import qupath.lib.images.servers.ImageServerProvider
import qupath.lib.io.GsonTools
import qupath.lib.io.PathIO
import qupath.lib.projects.ProjectIO
import qupath.lib.projects.Projects

println "this is QuPath ${GeneralTools.getVersion()}"
def folder = new File(args[1])
def json = new File(args[2])
if (args[0] == 'make')
    make(folder, JsonParser.parseString(json.getText('UTF-8')))
else
    json.setText(GsonTools.getInstance().toJson(dumped(new File(folder, 'project.qpproj'))), 'UTF-8')

void make(File folder, images) {
    folder.mkdirs()
    def project = Projects.createProject(folder, BufferedImage)
    loadOpenSlide()
    images.each { image ->
        def uri = new File(image.get('slide').getAsString()).toURI().toString()
        def entry = project.addImage(ImageServerProvider.getPreferredUriImageSupport(BufferedImage, uri).getBuilders()[0])
        entry.setImageName(new File(image.get('slide').getAsString()).getName())
        def data = entry.readImageData()
        def objects = new ArrayList(PathIO.readObjects(new File(image.get('objects').getAsString())))
        def parents = image.get('parents')
        objects.each { object ->
            def parent = parents.get(object.getID().toString())
            def found = parent == null ? null : objects.find { it.getID().toString() == parent.getAsString() }
            data.getHierarchy().addObjectBelowParent(found ?: data.getHierarchy().getRootObject(), object, false)
        }
        entry.saveImageData(data)
    }
    project.syncChanges()
}

/** Load OpenSlide, which 0.5 does only where it has its window. */
void loadOpenSlide() {
    try {
        Class.forName('qupath.lib.images.servers.openslide.jna.OpenSlideLoader').tryToLoadQuietly()
    } catch (ClassNotFoundException ignored) {
        println 'OpenSlide is loaded otherwise'
    }
}

List dumped(File project) {
    return ProjectIO.loadProject(project, BufferedImage).getImageList().collect { entry ->
        new ArrayList(entry.readHierarchy().getAllObjects(false)).collect { object ->
            def parent = object.getParent().isRootObject() ? null : object.getParent().getID().toString()
            [feature: JsonParser.parseString(GsonTools.getInstance().toJson(object)), parent: parent]
        }
    }
}
