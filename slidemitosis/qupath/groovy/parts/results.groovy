import qupath.lib.io.PathIO

import static qupath.lib.gui.scripting.QPEx.*

/** Return where this image's results go: in the project's folder, or beside the slide where there is no project. */
File resultFolder(Map place, File slide) {
    if (place.folder != null)
        return new File(place.folder, 'results/' + fileName(place.id))
    return new File(slide.getParentFile(), slide.getName() + '.slidemitosis')
}

/** Return the summary of the run that classified this image, or null. `folder` holds it where there is no project. */
Map earlierSummary(Map place, File folder) {
    def file = place.folder == null ? new File(folder, 'summary.json') : summaryFile(place)
    return file.isFile() ? readJson(file) : null
}

/**
 * Bring a folder of results into the image and its project, and return what was done.
 *
 * `earlierThreshold`: of the run that the image's objects are from. `which`: which objects were classified.
 */
String takeResults(Map place, File folder, Map summary, Double earlierThreshold, String which) {
    def result = readResult(new File(folder, 'objects.geojson'))
    // The objects come last: "Run for project" saves them even if the script has failed.
    keepSummary(place, summary, new File(folder, 'summary.json'), which)
    def told = updateObjects(result, earlierThreshold, which != 'selected')
    return "${outcomeText(summary)}; ${told}".toString()
}

/** Give the image its metadata in the project, and keep the summary of the run that its objects are from. */
void keepSummary(Map place, Map summary, File file, String which) {
    if (place.folder == null)
        return
    def text = file.getText('UTF-8')
    imageMetadata(summary, which).each { key, value -> place.entry.putMetadataValue(key, value) }
    place.project.syncChanges()
    // Last, since its threshold must be that of the objects' calls: by it a later run tells what was set by hand.
    writeWhole(summaryFile(place), text)
}

/** Return the metadata of the image, by name; NA where there is no number. */
Map<String, String> imageMetadata(Map summary, String which) {
    def interval = summary.fraction_amf_of_all_wilson_95
    def expected = summary.expected_fraction_amf_of_all_figures_95
    def texts = [
        'AMF expected fraction': decimals(summary.expected_fraction_amf_of_all, 4),
        'AMF expected fraction, 95 % from': decimals(expected == null ? null : expected[0], 4),
        'AMF expected fraction, 95 % to': decimals(expected == null ? null : expected[1], 4),
        'AMF fraction': decimals(summary.fraction_amf_of_all, 4),
        'AMF fraction, 95 % from': decimals(interval == null ? null : interval[0], 4),
        'AMF fraction, 95 % to': decimals(interval == null ? null : interval[1], 4),
        'AMF count': whole(summary.counts.atypical),
        'NMF count': whole(summary.counts.normal),
        'AMF candidates': whole(summary.counts.candidates),
        'AMF model': "${summary.model.name} ${summary.model.version}",
        'AMF operating point': summary.model.operating_point ?: 'balanced',
        'AMF threshold': decimals(summary.model.threshold, 4),
        'AMF objects': which,
    ]
    return texts.collectEntries { key, value -> [key, value.toString()] }
}

/** Return the outcome: "atypical fraction 21 % (95 % interval 13 to 30 %) of 40 figures; 8 called atypical". */
String outcomeText(Map summary) {
    def counts = summary.counts
    def figures = (long) counts.classified + (long) (counts.uncertain ?: 0)
    def left = (long) counts.candidates - figures
    def further = left > 0 ? ", ${left} not classified" : ''
    if (figures == 0)
        return "none of ${whole(counts.candidates)} candidates could be classified"
    if (summary.expected_fraction_amf_of_all == null) // of a version that knew the calls alone
        return "${whole(counts.atypical)} of ${whole(counts.classified)} called atypical${further}"
    def interval = summary.expected_fraction_amf_of_all_figures_95
    return "atypical fraction ${percent(summary.expected_fraction_amf_of_all)} % " +
        (interval == null ? '(no interval)' : "(95 % interval ${percent(interval[0])} to ${percent(interval[1])} %)") +
        " of ${figures} figures; ${whole(counts.atypical)} called atypical${further}"
}

/** Return a fraction in per cent, with two digits. */
String percent(Number fraction) {
    def value = 100 * (fraction as double)
    return decimals(value, value >= 9.95 || value == 0 ? 0 : 1)
}

String whole(Number value) {
    return String.valueOf(value as long)
}

/** Return an objects.geojson's objects, and which of them are points of a points object. Throws if it is broken. */
Map readResult(File file) {
    // First as JSON, which says what is wrong with a broken file.
    def points = pointsByObject(readJson(file))
    def objects = new ArrayList(PathIO.readObjects(file))
    // The last moment to cancel: after it, objects are changed.
    if (Thread.interrupted())
        throw new InterruptedException()
    return [objects: objects, points: points]
}

/**
 * Bring what was read from an objects.geojson into the image, and return what was done. No file is read or written, so
 * that nothing is left half done.
 *
 * Objects whose id is there get class, measurements and metadata; the others are added. A points object is replaced if
 * each of its points has come back as an object of its own. A region keeps its class. Without `withHotSpot` the hot
 * spot and the rates of regions stay as they are: after a selection, new ones would be those of the selection alone.
 */
String updateObjects(Map result, Double earlierThreshold, boolean withHotSpot) {
    def hierarchy = getCurrentHierarchy()
    def read = result.objects.findAll { !isHotSpot(it) }
    def points = result.points
    def there = objectsById(read.collect { it.getID().toString() } + points.keySet())
    def known = read.findAll { there.containsKey(it.getID().toString()) }
    // The cores of a microarray are of its grid: one that the image has not got has no place there.
    def added = read.findAll { !there.containsKey(it.getID().toString()) && !it.isTMACore() }
    def changed = []
    int kept = 0
    known.each { now ->
        there[now.getID().toString()].each { old ->
            def byHand = KEEP_CORRECTIONS && setByHand(old, earlierThreshold)
            if (byHand && statedCall(className(old)) != statedCall(className(now)))
                kept++
            updateObject(old, now, byHand || hasRegionRate(now))
            changed << old
        }
    }
    addBelow(parentsOfPoints(points, there), added)
    def forgotten = withHotSpot ? forgetRegions(read.collect { it.getID().toString() } as Set) : []
    if (withHotSpot)
        replaceHotSpot(result.objects.findAll { isHotSpot(it) })
    def split = points.findAll { id, ids ->
        there.containsKey(id) && there[id].every { it.getROI().isPoint() && it.getROI().getNumPoints() == ids.size() }
    }
    if (!split.isEmpty()) {
        hierarchy.getSelectionModel().clearSelection()
        split.keySet().each { id -> there[id].each { hierarchy.removeObject(it, true) } }
    }
    hierarchy.fireObjectClassificationsChangedEvent(this, changed)
    hierarchy.fireObjectMeasurementsChangedEvent(this, changed + forgotten)
    fireHierarchyUpdate()
    return updateText(changed.size(), added.size(), split.size(), pointsLeft(points - split, there, added), kept)
}

/** Return the image's objects that have one of these ids, by id. No others are kept: an image may have millions. */
Map<String, List> objectsById(Collection<String> ids) {
    def wanted = new HashSet(ids)
    return allObjects().findAll { wanted.contains(it.getID().toString()) && (canBeCandidate(it) || it.isTMACore()) }
        .groupBy { it.getID().toString() }
}

/** Return, by the id of each point's own object, what its points object lies in, such as a core of a microarray. */
Map parentsOfPoints(Map points, Map there) {
    def parents = [:]
    points.each { id, ids ->
        def parent = there.containsKey(id) ? there[id][0].getParent() : null
        if (parent != null && !parent.isRootObject())
            ids.each { parents[it] = parent }
    }
    return parents
}

/** Add objects to the image, each below its parent where `parents` names one by the object's id. */
void addBelow(Map parents, List objects) {
    def hierarchy = getCurrentHierarchy()
    def parted = objects.split { parents.containsKey(it.getID().toString()) }
    parted[0].each { hierarchy.addObjectBelowParent(parents[it.getID().toString()], it, false) }
    if (!parted[1].isEmpty())
        hierarchy.addObjects(parted[1])
}

/** Put the hot spot of this run in the place of an earlier run's. */
void replaceHotSpot(List spots) {
    def hierarchy = getCurrentHierarchy()
    def earlier = allObjects().findAll { isHotSpot(it) }
    if (!earlier.isEmpty())
        hierarchy.getSelectionModel().clearSelection()
    earlier.each { hierarchy.removeObject(it, true) }
    if (!spots.isEmpty())
        hierarchy.addObjects(spots)
}

/** Take the rates of an earlier run from the regions whose id is not among these, and return them. */
List forgetRegions(Collection<String> ids) {
    def earlier = allObjects().findAll { hasRegionRate(it) && !ids.contains(it.getID().toString()) }
    earlier.each { region ->
        def list = region.getMeasurementList()
        new ArrayList(region.getMeasurements().keySet()).findAll { isOfRegionRate(it) }.each { list.remove(it) }
        list.close()
    }
    return earlier
}

/** Count the points objects that may stand beside their points: still there, or some of their points were added. */
int pointsLeft(Map points, Map there, List added) {
    def ids = added.collect { it.getID().toString() } as Set
    return points.count { id, ofPoints -> there.containsKey(id) || ofPoints.any { ids.contains(it) } }
}

String updateText(int updated, int added, int split, int left, int kept) {
    def told = ["${updated} objects updated"]
    if (added > 0)
        told << "${added} added"
    if (split > 0)
        told << "${split} points objects replaced by one object for each point"
    if (kept > 0)
        told << "${kept} classes set by hand were kept"
    if (left > 0)
        told << "${left} points objects are not there, or have other points by now: look for figures that stand twice"
    return told.join(', ')
}

/** Return, by the id of each points object with several points, the ids of the objects that the result has for them. */
Map<String, List> pointsByObject(Map collection) {
    def points = [:]
    collection.features.each { feature ->
        // Not feature.properties, which Groovy 6 takes for the properties of the map itself.
        def properties = feature.get('properties')
        def metadata = properties == null ? null : properties.metadata
        def source = metadata == null ? null : metadata['slidemitosis.source_id']
        def found = source == null ? null : (source =~ /^([0-9a-fA-F-]{36})#\d+$/)
        if (found != null && found.matches())
            points.get(found.group(1), []) << feature.id
    }
    return points
}

/** Return whether a user has called this object Atypical or Normal, and the last run had not, or had otherwise. */
boolean setByHand(object, Double threshold) {
    def stated = statedCall(className(object))
    if (stated == null)
        return false
    def p = object.getMeasurementList().get('P(atypical)')
    if (Double.isNaN(p))
        return true
    def recorded = lastCall(object, threshold)
    return recorded != null && recorded != stated
}

void updateObject(old, now, boolean keepClass) {
    if (!keepClass)
        old.setPathClass(now.getPathClass())
    def list = old.getMeasurementList()
    def news = now.getMeasurements()
    def isOurs = { String name -> isOurMeasurement(name) || (hasRegionRate(now) && isOfRegionRate(name)) }
    new ArrayList(old.getMeasurements().keySet()).each {
        if (isOurs(it) && !news.containsKey(it))
            list.remove(it)
    }
    def values = [:]
    news.each { name, value ->
        if (isOurs(name) || !old.getMeasurements().containsKey(name))
            values[name] = value as double
    }
    list.putAll(values)
    list.close()
    if (old.getName() == null && now.getName() != null)
        old.setName(now.getName())
    updateMetadata(metadataOf(old), metadataOf(now))
}

void updateMetadata(Map old, Map now) {
    new ArrayList(old.keySet()).each {
        if (it.startsWith('slidemitosis.') && !now.containsKey(it))
            old.remove(it)
    }
    now.each { key, value ->
        if (key.startsWith('slidemitosis.') || !old.containsKey(key))
            old.put(key, value)
    }
}

boolean isOurMeasurement(String name) {
    return name in ['P(atypical)', 'Call threshold', 'P(experts disagree)', 'Upsampled'] || name.startsWith('P(AMF ') ||
        name.startsWith('P(NMF ')
}

/** Return whether a run has given this object, an annotation or a core of a microarray, a rate of its own. */
boolean hasRegionRate(object) {
    return !Double.isNaN(object.getMeasurementList().get('Region mm2'))
}

/** Return whether a measurement, of an object that is a region, is part of its rate. */
boolean isOfRegionRate(String name) {
    return name in ['Mitoses', 'Atypical', 'Normal', 'Uncertain', 'Mitoses per mm2', 'Region mm2'] ||
        name.startsWith('Expected atypical fraction')
}
